"""What the stages directory says about the training rows beside pictures and captions: order, sources, ontology."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from essen.data import Pairs
from essen.errors import StagesError
from essen.sampling.sampler import HELD_OUT, SUBSET, Floats, Rows
from pipeline import files
from pipeline.shards.read import Stages
from pipeline.tables import read_columns


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The training rows as samplers see them; row i is row i of `essen.data.Pairs`.

    Attributes:
        uids: (n,) text.
        images, captions: (n,) int64, equal where the picture, or the caption, is equal.
        stages: (n,) int64, from 1 upwards.
        places: (n,) int64, position in the order, 0 … n-1.
        difficulty: (n,) float64.
        corpora, stage_names: (n,) text, what a row is called as a part of a source.
    """

    uids: list[str]
    images: Rows
    captions: Rows
    stages: Rows
    places: Rows
    difficulty: Floats
    corpora: np.ndarray
    stage_names: np.ndarray

    def sources(self, kind: Literal["corpus", "stage"], rows: Rows) -> dict[str, Rows]:
        """Return those of some rows that belong to each source, by its name, sorted; none is left out."""
        names = self.corpora if kind == "corpus" else self.stage_names
        return {str(name): rows[names[rows] == name] for name in np.unique(names.astype(str))}


def read_columns_of(stages: Stages, pairs: Pairs, order: str = "order") -> Columns:
    """Return the training rows of a stages directory in the curriculum's order, or in a control's.

    A control gives every place of the order to another row; stage and difficulty belong to the place.

    Args:
        stages: the directory.
        pairs: of all its stages.
        order: ``order``, or a file below ``orders/``.

    Raises:
        StagesError: the control is missing, damaged, or of other samples.
    """
    ranks = np.concatenate([part.column("rank") for part in stages.stages])
    places = _positions(ranks)
    difficulty = np.concatenate([part.column("difficulty").astype(np.float64) for part in stages.stages])
    stage_of, place_of = pairs.stages, places
    if order != "order":
        stage_of, place_of = _control(stages, order, pairs.uids)
        difficulty = difficulty[np.argsort(places)][place_of]
    names = {part.stage: part.name for part in stages.stages}
    return Columns(
        uids=pairs.uids,
        images=pairs.image_of,
        captions=pairs.caption_of,
        stages=stage_of,
        places=place_of,
        difficulty=difficulty,
        corpora=np.concatenate([part.column("corpus") for part in stages.stages]),
        stage_names=np.array([names.get(int(stage), f"stage {stage}") for stage in stage_of], dtype=object),
    )


def read_ontology(stages: Stages) -> dict[str, Any]:
    """Return the ontology of the training rows.

    Raises:
        StagesError: it is missing or damaged.
    """
    content: dict[str, Any] = files.read_json(_listed(stages, "ontology.json"))
    return content


def hold_out(
    columns: Columns, share: float, seed: int, by: Literal["corpus", "stage"] = "corpus", among: Rows | None = None
) -> tuple[Rows, Rows]:
    """Divide rows into those to train on and those that are never trained on; the two share no picture.

    All rows are divided, or those `among` them. Of each source the same share of its pictures is held out, rounded up,
    but never all. The evaluation sets stay out of this: the ontology names training rows only, and what steers a
    training must not be what judges it.
    """
    every = np.arange(len(columns.uids), dtype=np.int64) if among is None else among
    if share == 0:
        return every, every[:0]
    pictures, first = np.unique(columns.images[every], return_index=True)
    source = (columns.corpora if by == "corpus" else columns.stage_names)[every[first]].astype(str)
    held = []
    for number, name in enumerate(np.unique(source)):
        own = pictures[source == name]
        count = min(int(np.ceil(share * len(own))), len(own) - 1)
        held.append(np.random.default_rng([seed, HELD_OUT, number]).choice(own, count, replace=False))
    out = np.isin(columns.images[every], np.concatenate(held))
    return every[~out], every[out]


def draw_pairs(columns: Columns, number: int, seed: int) -> Rows:
    """Return the rows of a random part of the pictures, sorted: as many as hold at most `number` pairs, two at least.

    Pictures are taken one after the other with all their captions, so a smaller part lies within a larger one.
    """
    pictures, picture_of, pairs = np.unique(columns.images, return_inverse=True, return_counts=True)
    order = np.random.default_rng([seed, SUBSET]).permutation(len(pictures))
    taken = int(np.searchsorted(pairs[order].cumsum(), number, side="right"))
    chosen = np.zeros(len(pictures), dtype=np.bool_)
    chosen[order[: max(taken, 2)]] = True
    return np.flatnonzero(chosen[picture_of])


def _control(stages: Stages, name: str, uids: list[str]) -> tuple[Rows, Rows]:
    """Return stage and position of every row in a control."""
    path = _listed(stages, f"orders/{name}.parquet")
    table = read_columns(path, ["uid", "stage", "rank"])
    row_of = {uid: row for row, uid in enumerate(uids)}
    if len(table["uid"]) != len(uids) or set(table["uid"]) != row_of.keys():
        raise StagesError(f"{path} does not hold exactly the samples of the stages; stage again")
    own = np.array([row_of[uid] for uid in table["uid"]], dtype=np.int64)
    stage = np.empty(len(uids), dtype=np.int64)
    rank = np.empty(len(uids), dtype=np.int64)
    stage[own], rank[own] = table["stage"], table["rank"]
    return stage, _positions(rank)


def _positions(ranks: Rows) -> Rows:
    """Return the position of every row when sorted by rank."""
    positions = np.empty(len(ranks), dtype=np.int64)
    positions[np.argsort(ranks, kind="stable")] = np.arange(len(ranks))
    return positions


def _listed(stages: Stages, name: str) -> Path:
    """Return the path of a file that the manifest lists, after a look at its content.

    Raises:
        StagesError: the manifest does not list it, or it is not what the manifest says.
    """
    sha256 = {entry["file"]: entry["sha256"] for entry in stages.manifest.get("files", ())}.get(name)
    path = stages.folder / name
    if sha256 is None:
        raise StagesError(f"{stages.folder} holds no {name}; stage again with this version")
    if not path.is_file() or files.sha256_file(path) != sha256:
        raise StagesError(f"{path} is missing or damaged; stage again")
    return path
