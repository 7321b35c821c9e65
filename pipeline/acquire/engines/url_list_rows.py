"""What the lines of a URL list say before anything is fetched: rows in the languages asked for, with their credits."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from pipeline.acquire.lists import check_columns, is_missing, read_list
from pipeline.acquire.net import urls
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import AttributionTable, UrlListSource
from pipeline.errors import ConfigError
from pipeline.sample import normalise_caption

if TYPE_CHECKING:
    from pipeline.acquire.card import Card


def columns_of(card: "Card", source: UrlListSource) -> list[str]:
    """Return the columns that a source names, empty ones too.

    Raises:
        ConfigError: it asks for a language that it names no column for.
    """
    columns = source.columns
    for lang in source.languages:
        if lang not in (card.language, *columns.captions) and not columns.lang:
            known = ", ".join((card.language, *columns.captions))
            raise ConfigError(f"{card.name} has no captions in {lang}; there are captions in {known}")
    named = [columns.url, columns.caption, columns.category, columns.lang, columns.licence, columns.file]
    tables = [table for table in (source.attribution, source.translators) if table]
    for column in (columns.group, *(table.match for table in tables)):
        named += [column] if isinstance(column, str) else column
    return [*named, *source.only, *(columns.captions[lang] for lang in source.languages if lang in columns.captions)]


def credits_of(attribution: AttributionTable, folder: Path, *, whole: bool = False) -> dict[str, str]:
    """Return the credit of every work of the attribution table; `whole` leaves out those in which a name is missing.

    Raises:
        ConfigError: the table is missing, or lacks a column that its key or template names.
    """
    path = table_path(attribution, folder)
    table = read_list(path)
    template = Template(attribution.template)
    check_columns(path, table, [*attribution.key, *template.get_identifiers()])
    return {
        "-".join(row[column] for column in attribution.key): template.substitute(row)
        for row in table
        if not whole or all(row[column] for column in template.get_identifiers())
    }


def rows_of_line(
    card: "Card",
    source: UrlListSource,
    line: Mapping[str, str],
    credit: Mapping[str, str],
    translated: Mapping[str, str],
) -> Iterator[RawRow]:
    """Yield the rows of a line before anything is fetched: one, or one for each language that is asked for.

    Args:
        credit: of works.
        translated: of those who put a work into a language, by both.
    """
    own = _row(card, source, line, credit)
    for lang in source.languages or (own.lang,):
        row = own
        if lang != own.lang:
            caption = line.get(source.columns.captions.get(lang, ""), "")
            row = replace(_row(card, source, {**line, source.columns.caption: caption}, credit), lang=lang)
            if is_missing(caption) or normalise_caption(caption) == normalise_caption(own.caption):
                message = f"no caption in {lang}" if is_missing(caption) else f"the caption is that in {own.lang}"
                row = replace(row, caption="", status="excluded", reason="untranslated", error_message=message)
            elif source.translators and (by := translated.get(f"{_joined(line, source.translators.match)}-{lang}")):
                row = replace(row, attribution=f"{row.attribution}. {by}")
        other = next((column for column, value in source.only.items() if line.get(column, "") != value), "")
        if other:
            message = f"{other} is {line.get(other, '')}"
            row = replace(row, status="excluded", reason="left_out", error_message=message)
        yield row


def table_path(attribution: AttributionTable, folder: Path) -> Path:
    """Return where a table of credits lies.

    Raises:
        ConfigError: it is not there.
    """
    path = folder / attribution.file
    if not path.is_file():
        raise ConfigError(f"there is no {path}; the list's credits are read from it, put it beside the list")
    return path


def _row(card: "Card", source: UrlListSource, line: Mapping[str, str], credit: Mapping[str, str]) -> RawRow:
    """Return the row of a line before anything is fetched; it has a reason if nothing is to be."""
    columns = source.columns
    url, caption = line.get(columns.url, "").strip(), line.get(columns.caption, "")
    licence = line.get(columns.licence, "")
    reason = urls.fault(url, allow_private=source.net.allow_private_hosts)
    match = _joined(line, source.attribution.match) if source.attribution else ""
    row = RawRow(
        url=url,
        caption=caption,
        group=_joined(line, columns.group) or url,
        category=line.get(columns.category, ""),
        lang=line.get(columns.lang, "") or card.language,
        licence=card.spdx(licence),
        licence_source="list" if licence else "card",
        attribution=credit.get(match) or card.attribution,
    )
    if is_missing(caption):
        return replace(row, caption="", status="excluded", reason="empty_caption")
    return replace(row, status="failed_to_download", reason=reason) if reason else row


def _joined(line: Mapping[str, str], column: str | tuple[str, ...]) -> str:
    """Return the value of a column, or of several joined by ``-``."""
    return line.get(column, "") if isinstance(column, str) else "-".join(line.get(part, "") for part in column)
