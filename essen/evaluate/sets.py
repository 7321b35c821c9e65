"""Sets of pictures with class labels or captions, read in the layouts in which they are found.

``classnames.txt`` beside ``test/0.tar``
    CLIP_benchmark's layout of a classification set: one class a line, ``zeroshot_classification_templates.txt`` with
    ``{c}`` for its name, ``test/nshards.txt`` and the shards, whose samples are a picture and ``.cls``, the number of
    its class from 0 upwards. ``train/``, where there is one, is what the probe learns from.
``dataset_type.txt`` that says ``retrieval``
    the same with ``.txt``: the captions of the picture, one a line.
``index.csv``, or any CSV file
    a column ``image`` (paths below its folder) and a column ``label``; or columns such as ``fine`` and ``coarse``, each
    with its number in ``fine_id`` and ``coarse_id``: each is a set. Optional: ``group``, and ``split``, which holds
    ``train`` and other words.
folders of pictures
    the name of the folder is the class.
``manifest.json``
    a stages directory: each of its evaluation sets is a set of captions.

In names of classes ``-`` and ``_`` are read as spaces.
"""

import csv
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from essen.data import read_pairs
from essen.errors import TrialsError
from essen.evaluate.pictures import Source
from essen.evaluate.retrieval import Bools, Galleries, Ints, build_galleries
from pipeline.sample import normalise_caption
from pipeline.shards.read import StagedSet, open_stages
from pipeline.tar import member_offsets

EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif")


@dataclass(frozen=True, kw_only=True)
class LabelledPictures:
    """I pictures of C classes.

    Attributes:
        name: of the set.
        sources: the pictures.
        labels: (I,) 0..C-1.
        classes: names.
        templates: prompts of its own; empty: none.
        groups: (I,) the unit of every picture.
        train: (I,) what a probe may learn from; None: there is no such part.
    """

    name: str
    sources: list[Source]
    labels: Ints
    classes: list[str]
    templates: tuple[str, ...] = ()
    groups: list[str]
    train: Bools | None = None

    @property
    def tested(self) -> Ints:
        """Rows of the pictures that are classified."""
        return np.arange(len(self.labels)) if self.train is None else np.flatnonzero(~self.train)


@dataclass(frozen=True, kw_only=True)
class CaptionedPictures:
    """I unique pictures and T unique captions of N pairs.

    Attributes:
        name: of the set.
        sources: (I,) in the order of the galleries.
        captions: (T,) in the order of the galleries.
        galleries: which belong together.
        groups: (N,) the unit of every pair.
    """

    name: str
    sources: list[Source]
    captions: list[str]
    galleries: Galleries
    groups: list[str]


def read_sets(path: Path) -> list[LabelledPictures] | list[CaptionedPictures]:
    """Read a folder or a CSV file; see the module's text for the layouts.

    Raises:
        TrialsError: it is in none of them, or damaged.
    """
    if (path / "manifest.json").is_file():
        evaluation = open_stages(path).evaluation
        if not evaluation:
            raise TrialsError(f"{path} holds no evaluation set; split off a part in the selection, then stage again")
        return [_staged(part) for part in evaluation.values()]
    if (path / "classnames.txt").is_file():
        return [_benchmark_classes(path)]
    if (path / "dataset_type.txt").is_file() and (path / "dataset_type.txt").read_text().strip() == "retrieval":
        return [_benchmark_captions(path)]
    if (table := path / "index.csv" if path.is_dir() else path).suffix == ".csv" and table.is_file():
        return _labelled_list(table, path.name if path.is_dir() else path.stem)
    if path.is_dir():
        return [_class_folders(path)]
    raise TrialsError(f"{path} is nothing to score on; see essen.evaluate.sets and essen.evaluate.trials for what is")


def class_name(text: str) -> str:
    """Return the name of a class as it stands in a sentence."""
    return " ".join(text.replace("-", " ").replace("_", " ").split())


def _staged(part: StagedSet) -> CaptionedPictures:
    pairs = read_pairs([part])
    galleries = build_galleries(pairs.image_of, pairs.caption_of)
    shard, offset, size = part.column("shard"), part.column("offset"), part.column("size")
    return CaptionedPictures(
        name=part.name,
        sources=[Source(part.folder / shard[row], int(offset[row]), int(size[row])) for row in galleries.images],
        captions=[pairs.captions[row] for row in galleries.captions],
        galleries=galleries,
        groups=part.table.column("group").to_pylist(),
    )


def _benchmark_classes(folder: Path) -> LabelledPictures:
    classes = _lines(folder / "classnames.txt")
    sources: list[Source] = []
    labels: list[int] = []
    train: list[bool] = []
    for split in ("train", "test"):
        for key, picture, said in _samples(folder / split, "cls", needed=split == "test"):
            if not said.strip().isdecimal() or int(said) >= len(classes):
                raise TrialsError(f"{folder / split}: sample {key} has the class {said.strip()!r} of {len(classes)}")
            sources.append(picture)
            labels.append(int(said))
            train.append(split == "train")
    templates = folder / "zeroshot_classification_templates.txt"
    found = tuple(_lines(templates)) if templates.is_file() else ()
    if lacking := [text for text in found if "{c}" not in text]:
        raise TrialsError(f"{templates}: {lacking[0]!r} has no {{c}}, where the name goes")
    return LabelledPictures(
        name=folder.name,
        sources=sources,
        labels=np.array(labels, np.int64),
        classes=classes,
        templates=found,
        groups=[str(row) for row in range(len(sources))],
        train=np.array(train) if any(train) else None,
    )


def _benchmark_captions(folder: Path) -> CaptionedPictures:
    sources: list[Source] = []
    images: list[int] = []
    captions: list[str] = []
    for _, picture, said in _samples(folder / "test", "txt", needed=True):
        for caption in filter(None, (line.strip() for line in said.splitlines())):
            images.append(len(sources))
            captions.append(caption)
        sources.append(picture)
    galleries = build_galleries(images, [normalise_caption(caption).casefold() for caption in captions])
    return CaptionedPictures(
        name=folder.name,
        sources=[sources[images[row]] for row in galleries.images],
        captions=[captions[row] for row in galleries.captions],
        galleries=galleries,
        groups=[str(image) for image in images],
    )


def _samples(folder: Path, extension: str, *, needed: bool) -> Iterator[tuple[str, Source, str]]:
    """Yield key, picture and text of every sample of a folder of WebDataset shards."""
    number = folder / "nshards.txt"
    said = number.read_text().strip() if number.is_file() else "0"
    if not said.isdecimal():
        raise TrialsError(f"{number} holds {said[:20]!r}, which is no number of shards")
    shards = [folder / f"{k}.tar" for k in range(int(said))]
    shards = shards or sorted(folder.glob("*.tar"))
    if not shards and needed:
        raise TrialsError(f"{folder} holds no shard; CLIP_benchmark's layout has {folder.name}/0.tar")
    for shard in shards:
        samples: dict[str, dict[str, Source]] = {}
        for name, (offset, size) in _members(shard).items():
            stem, _, kind = name.rpartition("/")[2].partition(".")
            samples.setdefault(name.rpartition("/")[0] + "/" + stem, {})[kind.lower()] = Source(shard, offset, size)
        for key, parts in samples.items():
            picture = next((parts[kind] for kind in EXTENSIONS if kind in parts), None)
            if picture is None or extension not in parts:
                raise TrialsError(f"{shard}: sample {key.lstrip('/')} needs a picture and .{extension}")
            yield f"{shard.name} {key.lstrip('/')}", picture, parts[extension].read().decode("utf-8", "replace")


def _members(shard: Path) -> dict[str, tuple[int, int]]:
    try:
        return member_offsets(shard)
    except (OSError, tarfile.TarError) as error:
        raise TrialsError(f"{shard} cannot be read ({error}); restore it") from None


def _labelled_list(path: Path, name: str) -> list[LabelledPictures]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrialsError(f"{path} cannot be read as CSV ({error})") from None
    if short := [number for number, row in enumerate(rows, start=2) if None in row.values() or None in row]:
        raise TrialsError(f"{path}: line {short[0]} has not as many columns as the first line")
    columns = list(rows[0]) if rows else []
    wanted = ["label"] if "label" in columns else [column for column in columns if f"{column}_id" in columns]
    if "image" not in columns or not wanted:
        raise TrialsError(f"{path} needs rows with the columns image and label")
    if bad := [row["image"] for row in rows if Path(row["image"]).is_absolute() or ".." in Path(row["image"]).parts]:
        raise TrialsError(f"{path}: {bad[0]!r} is no path below its folder")
    sources = [Source(path.parent / row["image"]) for row in rows]
    groups = [row.get("group") or str(number) for number, row in enumerate(rows)]
    train = np.array([row.get("split") == "train" for row in rows])
    sets = []
    for column in wanted:
        names, labels = np.unique([row[column] for row in rows], return_inverse=True)
        sets.append(
            LabelledPictures(
                name=name if column == "label" else f"{name}, {column}",
                sources=sources,
                labels=labels.astype(np.int64),
                classes=[class_name(text) for text in names],
                groups=groups,
                train=train if train.any() and not train.all() else None,
            )
        )
    return sets


def _class_folders(path: Path) -> LabelledPictures:
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    found = [
        (number, file)
        for number, folder in enumerate(folders)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix.lower().lstrip(".") in EXTENSIONS
    ]
    if len({number for number, _ in found}) < 2:
        raise TrialsError(
            f"{path} is nothing to score on: neither stages, nor CLIP_benchmark's layout, nor index.csv, "
            "nor a folder of pictures for each of two classes"
        )
    return LabelledPictures(
        name=path.name,
        sources=[Source(file) for _, file in found],
        labels=np.array([number for number, _ in found], np.int64),
        classes=[class_name(folder.name) for folder in folders],
        groups=[str(row) for row in range(len(found))],
    )


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise TrialsError(f"{path} is no UTF-8 text; restore it") from None
