"""A list of URLs with captions: checked, fetched by img2dataset, admitted, one row for each line of the list."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.acquire import urls
from pipeline.acquire.admission import Found, admitted
from pipeline.acquire.fetch import Fetched, fetch, forget_failures
from pipeline.acquire.img2dataset_env import VERSION
from pipeline.acquire.lists import check_columns, is_missing, read_list
from pipeline.acquire.mirror import mirror as serve
from pipeline.acquire.mirror import route
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import AttributionTable, UrlListSource
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

__all__ = ["find_list", "forget_failures", "params", "rows"]


def rows(card: "Card", source: UrlListSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every line of the list, in its order.

    Args:
        parts: folder that keeps what was fetched; a later call goes on from there.

    Raises:
        ConfigError: the list, one of its columns, the attribution table or img2dataset's environment is missing.
    """
    mirror = options.mirror
    path = find_list(source, mirror, options.list)
    lines = list(islice(read_list(path), options.limit))
    credit = _credits(source.attribution, path.parent) if source.attribution else {}
    wanted = [getattr(source.columns, name) for name in type(source.columns).model_fields]
    hashed = source.sha256 is not None and (source.sha256.of == "published" or mirror is not None)
    hash_column = source.sha256.column if source.sha256 and hashed else ""
    match_column = source.attribution.match if source.attribution else ""
    check_columns(path, lines, [column for column in (*wanted, hash_column, match_column) if column])

    entries = [_row(card, source, line, credit) for line in lines]
    pending = [row.url if not row.reason else "" for row in entries]
    found = _fetch_all(
        source, parts, mirror, _routes(source, lines, mirror), list(dict.fromkeys(filter(None, pending)))
    )
    arrived = (
        _arrived(row, found.get(url, Fetched()), line.get(hash_column, ""))
        for row, url, line in zip(entries, pending, lines, strict=True)
    )
    yield from admitted(arrived, max_pixels=source.max_pixels, workers=options.workers)


def params(card: "Card", source: UrlListSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: the list's content, the credits, the tools, mirror or not.

    Raises:
        ConfigError: the list or the attribution table is missing.
    """
    path = find_list(source, options.mirror, options.list)
    found: dict[str, Any] = {"list": files.sha256_file(path), "mirrored": options.mirror is not None}
    if source.attribution:
        found["attribution"] = files.sha256_file(_table(source.attribution, path.parent))
    return {**found, "tools": {"img2dataset": VERSION}}


def find_list(source: UrlListSource, mirror: Path | None, list_path: Path | None) -> Path:
    """Return the list's path: the one that is given, otherwise the card's, below the mirror.

    Raises:
        ConfigError: it is not there, or neither was given.
    """
    if list_path is None and mirror is None:
        raise ConfigError(
            f"where is the list {source.list}? Give the folder that holds it and its pictures (--mirror DIR), or the "
            "path of the list alone to fetch from the original addresses (list: PATH in the recipe)"
        )
    path = list_path if list_path is not None else (mirror or Path()) / source.list
    if not path.is_file():
        raise ConfigError(
            f"there is no list {path}; give the folder that holds {source.list} as the mirror, or its path"
        )
    return path


def _arrived(row: RawRow, fetched: Fetched, sha256: str) -> Found:
    """Return a row with where its picture lies, or with the reason why it was not fetched."""
    if row.reason or fetched.tar is not None:
        return Found(row, fetched.span, sha256)
    opt_out = "X-Robots-Tag" if fetched.reason == "opt_out" else ""
    failed = replace(
        row, status="failed_to_download", reason=fetched.reason, error_message=fetched.message, opt_out=opt_out
    )
    return Found(failed)


def _row(card: "Card", source: UrlListSource, line: Mapping[str, str], credit: Mapping[str, str]) -> RawRow:
    """Return the row of a line before anything is fetched; it has a reason if nothing is to be."""
    columns = source.columns
    url, caption = line.get(columns.url, "").strip(), line.get(columns.caption, "")
    licence = line.get(columns.licence, "")
    reason = urls.fault(url, allow_private=source.allow_private_hosts)
    match = line.get(source.attribution.match, "") if source.attribution else ""
    row = RawRow(
        url=url,
        caption=caption,
        group=line.get(columns.group, "") or url,
        category=line.get(columns.category, ""),
        lang=line.get(columns.lang, "") or card.language,
        licence=card.spdx(licence),
        licence_source="list" if licence else "card",
        attribution=credit.get(match) or card.attribution,
    )
    if is_missing(caption):
        return replace(row, caption="", status="excluded", reason="empty_caption")
    return replace(row, status="failed_to_download", reason=reason) if reason else row


def _routes(source: UrlListSource, lines: Sequence[Mapping[str, str]], mirror: Path | None) -> dict[str, str]:
    """Return the mirror's file by path and query; empty if it is to go by the paths themselves.

    Raises:
        ConfigError: two URLs that differ only in their host have different files.
    """
    found: dict[str, str] = {}
    if mirror is None or not source.columns.file:
        return found
    for line in lines:
        url, file = line.get(source.columns.url, "").strip(), line.get(source.columns.file, "")
        if urls.fault(url, allow_private=True):
            continue
        path = route(urls.fetchable(url))
        if found.setdefault(path, file) != file:
            raise ConfigError(f"the list has two files for the path {path}: {found[path]} and {file}; a mirror has one")
    return found


def _fetch_all(
    source: UrlListSource, parts: Path, folder: Path | None, routes: Mapping[str, str], wanted: Sequence[str]
) -> dict[str, Fetched]:
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(serve(folder, routes)) if folder is not None else ""
        return fetch(wanted, source, parts, mirror=address)


def _credits(attribution: AttributionTable, folder: Path) -> dict[str, str]:
    """Return the credit of every work of the attribution table.

    Raises:
        ConfigError: the table is missing, or lacks a column that its key or template names.
    """
    path = _table(attribution, folder)
    table = read_list(path)
    template = Template(attribution.template)
    check_columns(path, table, [*attribution.key, *template.get_identifiers()])
    return {"-".join(row[column] for column in attribution.key): template.substitute(row) for row in table}


def _table(attribution: AttributionTable, folder: Path) -> Path:
    path = folder / attribution.file
    if not path.is_file():
        raise ConfigError(f"there is no {path}; the list's credits are read from it, put it beside the list")
    return path
