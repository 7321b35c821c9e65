"""A person's own pictures in a folder, captioned by a file in one of several forms, or by text files beside them.

``format: auto`` goes by the names of files at the top of the folder, the first of these that fits:

1. ``metadata.csv``, ``.jsonl`` or ``.parquet``: a column ``file_name`` (below the folder) and ``caption`` or ``text``;
   ``url``, ``group``, ``category``, ``lang``, ``licence`` and ``attribution`` may follow. It is the form of an image
   folder of the Hugging Face hub.
2. a file of `KNOWN_NAMES`: COCO captions, Flickr30k or Localized Narratives, see `engines.annotations`. Where several
   fit, the card has to name one.
3. otherwise ``NAME.txt`` beside each ``NAME.jpg``.

Where the card names the file (``metadata``), a known name or the ending ``.json`` (COCO) decides, otherwise it is a
metadata file. A picture is read only if it is a regular file that lies in the folder, also after symbolic links.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.acquire.admission import Found, Span, admitted
from pipeline.acquire.engines.annotations import Line, read_coco, read_flickr30k, read_localized_narratives
from pipeline.acquire.engines.fields import LONGEST_TEXT, caption_rows
from pipeline.acquire.engines.places import beside_card, content_hashes, file_fault, folder_availability
from pipeline.acquire.lists import check_columns, read_list
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import FolderSource
from pipeline.acquire.text import read_text
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
KNOWN_NAMES = {
    "coco": ("captions*.json",),
    "flickr30k": ("results*.csv", "results*.token", "flickr_annotations*.csv", "captions.txt"),
    "localized_narratives": ("*localized_narratives*.jsonl", "*_captions.jsonl"),
}
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})
CREATIVE_COMMONS = re.compile(r"https?://creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)/?")


def rows(card: "Card", source: FolderSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every caption of the file, in its order, or for every picture, by name.

    Raises:
        ConfigError: the folder, the file of captions or a column of it is missing.
    """
    folder = find_folder(card, source)
    base = folder / source.pictures
    lines = islice(_lines(card, folder, source), options.limit)
    entries = (_found(card, base, line, source.max_bytes) for line in lines)
    yield from admitted(entries, max_pixels=source.max_pixels, workers=options.workers, screen=options.screen)


def params(card: "Card", source: FolderSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: every file's name and hash.

    Raises:
        ConfigError: the folder is missing.
    """
    folder = find_folder(card, source)
    places = [folder, folder / source.pictures, *_named(folder, source.metadata)]
    return {"files": files.digest(content_hashes(places, folder))}


def availability(card: "Card", source: FolderSource) -> str:
    """Return why the pictures cannot be had from here, empty if they can: the folder is there or it is not."""
    return folder_availability(beside_card(card, source.path))


def find_folder(card: "Card", source: FolderSource) -> Path:
    """Return the folder; a relative one lies beside the card.

    Raises:
        ConfigError: it is not there.
    """
    folder = beside_card(card, source.path)
    if not folder.is_dir():
        raise ConfigError(
            f"data card {card.name}: there is no folder {folder}; set source.path to the pictures' folder"
        )
    return folder


def _lines(card: "Card", folder: Path, source: FolderSource) -> Iterator[Line]:
    """Yield the lines of the file of captions, or lines made from the text files beside the pictures."""
    kind, paths = _captions_of(folder, source)
    base = folder / source.pictures
    if kind == "sidecar":
        yield from _sidecars(base)
    elif kind == "localized_narratives":
        names = {file.stem: file.relative_to(base).as_posix() for file in reversed(_pictures_below(base))}
        for path in paths:
            yield from read_localized_narratives(path, partial(_by_id, names))
    elif kind == "coco":
        for path in paths:
            yield from read_coco(path, partial(_licence_word, card.licences))
    elif kind == "flickr30k":
        for path in paths:
            yield from read_flickr30k(path)
    else:
        for path in paths:
            yield from _metadata(path)


def _captions_of(folder: Path, source: FolderSource) -> tuple[str, list[Path]]:
    """Return the form of the captions, and their files.

    Raises:
        ConfigError: there is no such file, or more than one could be meant.
    """
    kind = source.format
    if source.metadata:
        paths = _named(folder, source.metadata)
        return _kind_by_name(Path(source.metadata).name) if kind == "auto" else kind, paths
    if kind in ("auto", "metadata"):
        found = [folder / name for name in METADATA if (folder / name).is_file()]
        if found:
            return "metadata", found[:1]
    known = {name: _matching(folder, KNOWN_NAMES[name]) for name in KNOWN_NAMES if kind in ("auto", name)}
    known = {name: paths for name, paths in known.items() if paths}
    if kind in ("auto", "sidecar") and not known:
        return "sidecar", []
    if not known:
        names = ", ".join(METADATA if kind == "metadata" else KNOWN_NAMES[kind])
        raise ConfigError(f"{folder} has no file of captions ({names}); name it in source.metadata")
    paths = [path for group in known.values() for path in group]
    if len(known) > 1 or (len(paths) > 1 and "localized_narratives" not in known):
        names = ", ".join(path.name for path in paths)
        raise ConfigError(f"{folder} has several files of captions ({names}); name one in source.metadata")
    return next(iter(known.items()))


def _named(folder: Path, metadata: str) -> list[Path]:
    """Return the files that the card names, those of a pattern sorted."""
    if not any(c in metadata for c in "*?["):
        return [folder / metadata] if metadata else []
    return sorted(folder.glob(metadata)) or [folder / metadata]


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})


def _kind_by_name(name: str) -> str:
    for kind, patterns in KNOWN_NAMES.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return kind
    return "coco" if name.endswith(".json") else "metadata"


def _metadata(path: Path) -> Iterator[Line]:
    table = read_list(path)
    caption = "text" if table and "caption" not in table[0] and "text" in table[0] else "caption"
    check_columns(path, table, ["file_name", caption])
    for row in table:
        fields = {**row, "licence": row.get("licence") or row.get("license") or ""}
        yield Line(row.get("file_name", ""), row.get(caption, ""), fields)


def _sidecars(base: Path) -> Iterator[Line]:
    """Yield a line for every picture, by name, with the text in the file beside it."""
    pictures = _pictures_below(base)
    if not pictures:
        raise ConfigError(f"{base} holds neither {METADATA[0]} nor pictures ({', '.join(sorted(PICTURES))})")
    for file in pictures:
        name, text = file.relative_to(base).as_posix(), file.with_suffix(".txt")
        if not text.is_file():
            yield Line(name, "")
        elif not text.resolve().is_relative_to(base.resolve()):
            yield Line(name, "", reason="outside_folder", message="the text file is a link that leads outside")
        elif text.stat().st_size > LONGEST_TEXT:
            yield Line(name, "", reason="too_large", message=f"the text file has {text.stat().st_size:,} bytes")
        else:
            yield Line(name, read_text(text))


def _pictures_below(base: Path) -> list[Path]:
    return sorted(file for file in base.rglob("*") if file.suffix.lower() in PICTURES and file.is_file())


def _by_id(names: Mapping[str, str], number: str) -> str:
    """Return the file of a picture's id; COCO writes its numbers with twelve digits."""
    return names.get(number) or names.get(number.zfill(12)) or f"{number}.jpg"


def _licence_word(known: Mapping[str, str], name: str, url: str) -> str:
    """Return the word for a licence that the card maps, or the SPDX name of a Creative Commons address."""
    if name in known or url in known:
        return name if name in known else url
    found = CREATIVE_COMMONS.fullmatch(url)
    return f"CC-{found[1].upper()}-{found[2]}" if found else "NOASSERTION"


def _found(card: "Card", base: Path, line: Line, max_bytes: int) -> Found:
    """Return the row of a line with where its picture lies, or with the reason why it is not read."""
    name = line.file_name
    fields = {"group": name, **{key: value for key, value in line.fields.items() if value}}
    row = next(caption_rows(card, f"folder:{card.name}/{name}", [line.caption], fields, said_by="metadata"))
    if row.reason and not line.reason:
        return Found(row)
    reason, message = line.reason, line.message
    if not reason and (Path(name).is_absolute() or ".." in Path(name).parts):
        reason, message = "outside_folder", "the name leads out of the folder"
    if not reason:
        reason, message = file_fault(base / name, base, max_bytes)
    if reason:
        return Found(replace(row, status="failed_to_download", reason=reason, error_message=message))
    return Found(row, Span(base / name))
