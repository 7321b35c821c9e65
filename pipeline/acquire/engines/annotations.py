"""Captions as well-known data sets write them, read as lines: a picture's file name, a caption, and what else is said.

- COCO captions (Lin et al. 2014, https://cocodataset.org/#format-data): one JSON object with ``images``,
  ``annotations`` and ``licenses``.
- Flickr30k (Young et al. 2014): the results file ``image_name| comment_number| comment`` or its older form
  ``NAME.jpg#0<TAB>caption``; a CSV of ``image,caption``; a CSV with a JSON list in ``raw`` (Karpathy's split).
- Localized Narratives (Pont-Tuset et al. 2020): JSON lines with ``image_id`` and ``caption``, some of them very long.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.acquire.engines.fields import first_text
from pipeline.acquire.text import decode_text, read_text
from pipeline.errors import ConfigError

PIPED = re.compile(r"([^|]*?)\s*\|\s*(\d+)\s*\|?\s*(.*)")  # one known line lacks its second bar
TABBED = re.compile(r"(.*)#\d+\t(.*)")
IMAGE_COLUMNS = ("image", "image_name", "filename", "file_name")
CAPTION_COLUMNS = ("raw", "caption", "comment")


@dataclass(frozen=True, slots=True)
class Line:
    """One caption of a picture.

    Attributes:
        file_name: of the picture, below the folder.
        fields: perhaps ``url``, ``group``, ``category``, ``lang``, ``licence`` and ``attribution``.
        reason, message: why there is no picture for it; empty where that is not known yet.
    """

    file_name: str
    caption: str
    fields: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    message: str = ""


def read_coco(path: Path, licence_of: Callable[[str, str], str]) -> Iterator[Line]:
    """Yield a line for every annotation, in the file's order, then one for every image without any.

    Args:
        licence_of: the word for a licence, given its name and URL in the file.

    Raises:
        ConfigError: the file is no COCO captions file.
    """
    content = _load(path)
    images = {_id(image): image for image in _objects(path, content, "images")}
    licences = {
        _id(entry): licence_of(first_text(entry.get("name")), first_text(entry.get("url")))
        for entry in _objects(path, content, "licenses")
    }
    captioned = set()
    for annotation in _objects(path, content, "annotations"):
        number = str(annotation.get("image_id"))
        captioned.add(number)
        yield _coco_line(number, images.get(number, {}), first_text(annotation.get("caption")), licences)
    for number, image in images.items():
        if number not in captioned:
            yield _coco_line(number, image, "", licences)


def read_flickr30k(path: Path) -> Iterator[Line]:
    """Yield a line for every caption, in the file's order.

    Raises:
        ConfigError: the file is none of the known forms.
    """
    text = _read(path)
    head = text.split("\n", 1)[0].rstrip("\r")
    file = io.StringIO(text, newline="")
    if TABBED.fullmatch(head):
        yield from _matched(file, TABBED)
    elif "|" in head:
        yield from _matched(file, PIPED)
    else:
        yield from _comma_separated(path, head, file)


def read_localized_narratives(path: Path, picture_of: Callable[[str], str]) -> Iterator[Line]:
    """Yield a line for every narrative, in the file's order; mouse traces and recordings are passed over.

    Args:
        picture_of: the file name of a picture, given its id.

    Raises:
        ConfigError: a line is no narrative.
    """
    try:
        with path.open("rb") as file:  # a line at a time, as the traces make the file large
            for number, data in enumerate(file, start=1):
                if data.strip():
                    line = json.loads(decode_text(data).text)
                    if not isinstance(line, dict) or "image_id" not in line or "caption" not in line:
                        raise ConfigError(f"{path}: line {number} has no image_id and caption")
                    image = first_text(line["image_id"])
                    yield Line(picture_of(image), first_text(line["caption"]), {"group": image})
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def _coco_line(number: str, image: Mapping[str, Any], caption: str, licences: Mapping[str, str]) -> Line:
    url = first_text(image.get("coco_url")) or first_text(image.get("flickr_url"))
    fields = {"url": url, "licence": licences.get(str(image.get("license")), "")}
    if not image:
        return Line("", caption, fields, "missing_file", f"the file lists no image {number}")
    return Line(first_text(image.get("file_name")), caption, fields)


def _matched(file: Iterable[str], pattern: re.Pattern[str]) -> Iterator[Line]:
    """Yield the lines of a file that has one caption a line, perhaps below a line of headings."""
    for number, text in enumerate(file, start=1):
        found = pattern.fullmatch(text.strip("\r\n"))
        if found is not None:
            yield Line(found[1].strip(), found[pattern.groups])
        elif text.strip() and not (number == 1 and text.startswith("image")):
            yield Line("", text, reason="bad_line", message=f"line {number} is no picture, number and caption")


def _comma_separated(path: Path, head: str, file: Iterator[str]) -> Iterator[Line]:
    columns = [column.strip() for column in next(csv.reader([head]), [])]
    image = next((name for name in IMAGE_COLUMNS if name in columns), "")
    caption = next((name for name in CAPTION_COLUMNS if name in columns), "")
    if not image or not caption:
        raise ConfigError(
            f"{path} is no list of Flickr30k: a column {' or '.join(IMAGE_COLUMNS)} and one "
            f"{' or '.join(CAPTION_COLUMNS)} are needed, it has {', '.join(columns)}"
        )
    next(file)
    for row in csv.DictReader(file, columns):
        name = (row[image] or "").strip()
        if None in row:
            yield Line(name, row[caption], reason="bad_line", message=f"more values than columns: {row[None]}")
            continue
        texts = _several(row[caption] or "") if caption == "raw" else [row[caption] or ""]
        yield from (Line(name, text) for text in texts)


def _several(text: str) -> list[str]:
    """Return the captions of a JSON list, or the text itself if it is none."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    return [first_text(value) for value in values] or [""] if isinstance(values, list) else [text]


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        raise ConfigError(f"{path} is no file of COCO captions: it needs images and annotations")
    return content


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _objects(path: Path, content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = content.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{path}: {name} is no list of objects")
    return entries


def _id(entry: Mapping[str, Any]) -> str:
    return str(entry.get("id"))
