"""The tree of nouns as pools of rows: what the batches of one node are drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from essen.config import TonicsConfig
from essen.errors import StagesError
from essen.sampling.draw import BatchRule, draw_fitting, fitting
from essen.sampling.sampler import EXAMINED, SHUFFLED, Rows, generator


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tree.

    Attributes:
        name: its id.
        rows: what may be trained on, (n,).
        onward: numbers of the nodes that its probability moves to once it opens.
        examined: held-out batches, each (pairs,); none where it has too few held-out rows.
    """

    name: str
    rows: Rows
    onward: tuple[int, ...]
    examined: tuple[Rows, ...]


def build_tree(
    ontology: Mapping[str, Any],
    uids: Sequence[str],
    rows: Rows,
    held_out: Rows,
    rule: BatchRule,
    *,
    config: TonicsConfig,
    seed: int,
) -> list[Node]:
    """Return the nodes that can fill a batch, those above before those below.

    A node that cannot is left out, and what is below it belongs to the next one above. The held-out batches hold
    different pictures with different captions, so chance is one in their size.

    Args:
        ontology: the content of ``ontology.json``; a node without members holds all.
        uids: of all rows.
        rows: what may be trained on.
        held_out: what is never trained on; shares no picture with `rows`.
        rule: of the batches.
        config: which tree, and its limits.
        seed: of the held-out batches and of the shuffled tree.

    Raises:
        StagesError: no node below the root can fill a batch.
    """
    entries = sorted(ontology["nodes"], key=lambda node: (node["level"], node["id"]))
    lowest = max(entry["level"] for entry in entries) if config.depth is None else config.depth
    row_of = {uid: row for row, uid in enumerate(uids)}
    trained = np.zeros(len(uids), dtype=np.bool_)
    trained[rows] = True
    held = np.zeros(len(uids), dtype=np.bool_)
    held[held_out] = True
    kept: dict[str, Rows] = {}
    for entry in entries:
        own = _members(entry, row_of, len(uids))
        mine = own[trained[own]]
        fills = len(mine) >= config.min_count and fitting(mine, rule).sum() >= rule.size
        if entry["parent"] is None or (fills and entry["level"] <= lowest):
            kept[entry["id"]] = own
    if len(kept) < 2:
        raise StagesError(
            f"sampling.tonics: no node of the ontology fills a batch of {rule.size}; lower train.batch_size, or take "
            "more data"
        )
    if config.tree == "shuffled":
        kept = _shuffled(kept, rows, held_out, len(uids), seed)
    onward = _onward(entries, list(kept), upwards=config.tree == "reversed")
    single = BatchRule(images=rule.images, captions=rule.captions, together=1, size=config.pairs)
    nodes = []
    for number, (name, own) in enumerate(kept.items()):
        rng = generator(seed, EXAMINED, number)
        drawn = [draw_fitting(rng, own[held[own]], config.pairs, single) for _ in range(config.batches)]
        examined = tuple(batch for batch in drawn if len(batch) == config.pairs)
        nodes.append(Node(name, own[trained[own]], onward[number], examined))
    return nodes


def _members(entry: Mapping[str, Any], row_of: Mapping[str, int], count: int) -> Rows:
    if entry.get("members") is None:
        return np.arange(count, dtype=np.int64)
    return np.array([row_of[uid] for uid in entry["members"] if uid in row_of], dtype=np.int64)


def _onward(entries: Sequence[Mapping[str, Any]], names: list[str], *, upwards: bool) -> list[tuple[int, ...]]:
    """Return for each kept node the numbers of its children, or of its parent, among the kept ones."""
    parent_of = {entry["id"]: entry["parent"] for entry in entries}
    number_of = {name: number for number, name in enumerate(names)}
    parents: list[int | None] = []
    for name in names:
        parent = parent_of[name]
        while parent is not None and parent not in number_of:
            parent = parent_of[parent]
        parents.append(None if parent is None else number_of[parent])
    if upwards:
        return [() if parent is None else (parent,) for parent in parents]
    return [tuple(child for child, parent in enumerate(parents) if parent == number) for number in range(len(names))]


def _shuffled(kept: Mapping[str, Rows], rows: Rows, held_out: Rows, count: int, seed: int) -> dict[str, Rows]:
    """Return the same tree over other rows: each takes the place of one drawn at random, trained or held out as it."""
    rng = generator(seed, SHUFFLED, 0)
    place = np.arange(count, dtype=np.int64)
    for part in (rows, held_out):
        place[part] = rng.permutation(part)
    return {name: place[own] for name, own in kept.items()}
