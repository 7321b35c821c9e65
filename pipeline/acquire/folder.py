"""A person's own pictures in a folder: captions from a metadata file, or from a text file beside each picture.

A metadata file has a column ``file_name`` (below the folder) and ``caption`` or ``text``; ``group``, ``category``,
``lang``, ``licence`` and ``attribution`` may follow. It is the form of an image folder of the Hugging Face hub.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.acquire.admission import Found, Span, admitted
from pipeline.acquire.lists import check_columns, is_missing, read_list
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import FolderSource
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})


def rows(card: "Card", source: FolderSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every line of the metadata file, in its order, or for every picture, by name.

    Raises:
        ConfigError: the folder, its metadata or a column of it is missing.
    """
    folder = find_folder(card, source)
    lines = islice(_lines(folder, source), options.limit)
    entries = (Found(_row(card, line), Span(folder / line["file_name"])) for line in lines)
    yield from admitted(entries, max_pixels=source.max_pixels, workers=options.workers)


def params(card: "Card", source: FolderSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: every file's name and hash.

    Raises:
        ConfigError: the folder is missing.
    """
    folder = find_folder(card, source)
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {"files": files.digest({file.relative_to(folder).as_posix(): files.sha256_file(file) for file in found})}


def find_folder(card: "Card", source: FolderSource) -> Path:
    """Return the folder; a relative one lies beside the card.

    Raises:
        ConfigError: it is not there.
    """
    folder = card.path.parent / Path(source.path).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"data card {card.name}: there is no folder {folder}; set source.path to the pictures' folder"
        )
    return folder


def _lines(folder: Path, source: FolderSource) -> list[dict[str, str]]:
    """Return the lines of the metadata file, or lines made from the text files beside the pictures."""
    names = [source.metadata] if source.metadata else [name for name in METADATA if (folder / name).is_file()]
    if names:
        path = folder / names[0]
        lines = read_list(path)
        caption = "text" if lines and "caption" not in lines[0] and "text" in lines[0] else "caption"
        check_columns(path, lines, ["file_name", caption])
        return [{**line, "caption": line[caption]} for line in lines]
    pictures = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICTURES and file.is_file())
    if not pictures:
        raise ConfigError(f"{folder} holds neither {METADATA[0]} nor pictures ({', '.join(sorted(PICTURES))})")
    return [{"file_name": file.relative_to(folder).as_posix(), "caption": _sidecar(file)} for file in pictures]


def _sidecar(picture: Path) -> str:
    """Return the caption in the text file beside a picture, empty without one.

    Raises:
        ConfigError: it is not in UTF-8.
    """
    text = picture.with_suffix(".txt")
    try:
        return text.read_text(encoding="utf-8-sig") if text.is_file() else ""
    except UnicodeDecodeError:
        raise ConfigError(f"{text} is not in UTF-8; save it again in that encoding") from None


def _row(card: "Card", line: Mapping[str, str]) -> RawRow:
    licence, name = line.get("licence") or line.get("license") or "", line["file_name"]
    row = RawRow(
        url=f"folder:{card.name}/{name}",
        caption=line["caption"],
        group=line.get("group") or name,
        category=line.get("category", ""),
        lang=line.get("lang") or card.language,
        licence=card.spdx(licence),
        licence_source="metadata" if licence else "card",
        attribution=line.get("attribution") or card.attribution,
    )
    if is_missing(row.caption):
        return replace(row, caption="", status="excluded", reason="empty_caption")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return replace(row, status="failed_to_download", reason="outside_folder")
    return row
