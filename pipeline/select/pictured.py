"""Pictures from anywhere, seen as a run sees its own: a folder, shards, or trials in a file."""

import json
import tarfile
from collections import ChainMap
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.acquire.raw import EXTENSIONS
from pipeline.errors import ConfigError
from pipeline.measure.embed import Encoder, stretched
from pipeline.measure.image import cell_colours, measure_picture
from pipeline.measure.structure import SIDE, structure
from pipeline.select.pictures import Gallery, Picture, picture_of
from pipeline.shards.picture import PictureError, decode_rgb

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = frozenset({*(f".{ext}" for ext in EXTENSIONS.values()), ".jpeg"})
BATCH = 64  # pictures at once


@dataclass(frozen=True, slots=True)
class Item:
    """A picture, or a caption, or both, of a collection: its name there, the encoded picture, the captions."""

    name: str
    image: bytes | None
    captions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """N distinct pictures with what they are compared by, as in a `Gallery`, and how many could not be decoded."""

    pictures: Sequence[Picture]
    vectors: "np.ndarray"
    structures: "np.ndarray"
    colours: MutableMapping[str, bytes]
    unreadable: int

    def gallery(self) -> Gallery:
        """Return the pictures by themselves."""
        return Gallery(self.pictures, self.vectors, self.structures, self.colours)


def joined(first: Gallery | Measured, second: Gallery | Measured) -> Gallery:
    """Return the pictures of both, those of the first one first."""
    import numpy as np

    return Gallery(
        [*first.pictures, *second.pictures],
        np.concatenate([first.vectors, second.vectors]),
        np.concatenate([first.structures, second.structures]),
        ChainMap(first.colours, second.colours),
    )


def read_items(path: Path) -> Iterator[Item]:
    """Yield what a folder of pictures, one of shards (``*.tar`` at any depth) or a ``.jsonl`` file of trials holds.

    In a folder and in shards, ``<stem>.txt`` beside a picture is its caption. A trial has ``image`` or ``images``
    (paths, from the file's folder) and ``caption``, ``captions`` or ``text``.

    Raises:
        ConfigError: there is no such thing, or a trial names a picture that is not there.
    """
    if path.is_file() and path.suffix == ".jsonl":
        return _trials(path)
    if path.is_file() and path.suffix == ".tar":
        return _shard(path)
    if not path.is_dir():
        raise ConfigError(f"{path} is neither a folder of pictures or shards nor a .jsonl file of trials")
    shards = sorted(path.rglob("*.tar"))
    return (item for shard in shards for item in _shard(shard)) if shards else _folder(path)


def content_digest(path: Path) -> str:
    """Return the digest of all that `read_items` would yield: part of the key of whatever reads it.

    Raises:
        ConfigError: see `read_items`.
    """
    items = [[item.name, files.sha256_bytes(item.image or b""), list(item.captions)] for item in read_items(path)]
    return files.digest(items)


def _folder(path: Path) -> Iterator[Item]:
    for file in files.files_below(path):
        if file.suffix.lower() in SUFFIXES:
            text = file.with_suffix(".txt")
            captions = (text.read_text(encoding="utf-8", errors="replace").strip(),) if text.is_file() else ()
            yield Item(file.relative_to(path).as_posix(), file.read_bytes(), captions)


def _shard(path: Path) -> Iterator[Item]:
    image: tuple[str, bytes] | None = None
    caption, stem = "", ""
    with tarfile.open(path) as tar:
        for member in tar:
            here, _, suffix = member.name.rpartition(".")
            if here != stem:
                if image is not None:
                    yield Item(f"{path.name}/{image[0]}", image[1], (caption,) if caption else ())
                image, caption, stem = None, "", here
            content = tar.extractfile(member)
            if content is None:
                continue
            if f".{suffix.lower()}" in SUFFIXES:
                image = (member.name, content.read())
            elif suffix == "txt":
                caption = content.read().decode("utf-8", errors="replace").strip()
    if image is not None:
        yield Item(f"{path.name}/{image[0]}", image[1], (caption,) if caption else ())


def _trials(path: Path) -> Iterator[Item]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            trial = json.loads(line)
            images, captions = _texts(trial, "image", "images"), _texts(trial, "caption", "captions", "text")
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path}, line {number}: {error}") from None
        for name in images:
            file = path.parent / name
            if not file.is_file():
                raise ConfigError(f"{path}, line {number}: there is no picture {file}")
            yield Item(f"{number}:{name}", file.read_bytes(), tuple(captions))
        if captions and not images:
            yield Item(str(number), None, tuple(captions))


def _texts(trial: Any, *keys: str) -> list[str]:
    """Return the texts that a trial has under some keys.

    Raises:
        TypeError: there is something else.
    """
    if not isinstance(trial, dict):
        raise TypeError("a trial must be an object with image and caption")
    values = [trial[key] for key in keys if trial.get(key) is not None]
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{keys[0]} must be text")
    return texts


def measure_items(items: Iterable[Item], encoder: Encoder) -> Measured:
    """Measure, encode and trace every distinct picture; equal bytes are one picture, with all its captions."""
    import numpy as np

    captions: dict[str, list[str]] = {}
    pictures: list[Picture] = []
    colours: dict[str, bytes] = {}
    seen, drawn, vectors, lines = [], [], [], []
    unreadable = 0
    for item in items:
        if item.image is None:
            continue
        sha256 = files.sha256_bytes(item.image)
        known = sha256 in captions
        captions.setdefault(sha256, []).extend(item.captions)
        if known:
            continue
        try:
            picture = decode_rgb(item.image)
        except PictureError:
            unreadable += 1
            continue
        pictures.append(picture_of(sha256, measure_picture(item.image)))
        colours[sha256] = cell_colours(picture)
        seen.append(stretched(picture, encoder.image_size))
        drawn.append(stretched(picture, SIDE))
        if len(seen) == BATCH:
            vectors.append(encoder.encode_images(np.stack(seen)))
            lines.append(structure(np.stack(drawn)))
            seen, drawn = [], []
    vectors.append(encoder.encode_images(np.stack(seen)) if seen else np.zeros((0, encoder.dim), dtype=np.float32))
    lines.append(structure(np.stack(drawn) if drawn else np.zeros((0, SIDE, SIDE, 3), dtype=np.uint8)))
    return Measured(pictures, np.concatenate(vectors), np.concatenate(lines), colours, unreadable)
