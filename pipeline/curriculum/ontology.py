"""What the pairs are about: a tree with nouns as its leaves, and above them the corpora's categories or hypernyms.

The tree is strict: a node's samples are a part of its parent's, and a pair with several nouns is a member of each.
Batches drawn from a node hold pairs about one thing (TOnICS, arXiv 2207.14525). With categories, a noun of two
categories is two nodes and a category holds its pairs without a noun too. With WordNet, a noun stands once, below
what its most frequent sense is and is a kind of: synsets that hold no more than a share of the samples and have two
children or more, the most general ones first, or else its nearest hypernym. Nouns that WordNet does not know stand
below `UNCATEGORISED`.
"""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.curriculum.config import OntologyConfig
from pipeline.curriculum.lemmas import Lemmas, distinct
from pipeline.curriculum.wordnet import read_wordnet

if TYPE_CHECKING:
    import numpy as np

ROOT = "root"
UNCATEGORISED = "uncategorised"
FILE = "curriculum/ontology.json"


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A node of the tree as a picture shows it: its children, most samples first, and how many are not shown."""

    id: str
    name: str
    level: int
    samples: int
    children: tuple["Branch", ...]
    hidden: int


def build_ontology(
    uids: Sequence[str], categories: Sequence[str], nouns: Lemmas, config: OntologyConfig
) -> dict[str, Any]:
    """Return the tree as a JSON value.

    Args:
        uids: (N,) of the pairs, sorted.
        categories: (N,) each pair's heading in its corpus; empty where it has none.
        nouns: of the pairs.
        config: what stands above nouns, and how many pairs a noun needs: within its category, or in all.

    Returns:
        ``nodes``, sorted by ``id`` (``root``, ``root/<…>``), each with ``name``, ``parent`` (null for the root),
        ``level``, ``samples`` and, but for the root, ``members`` (sorted uids); ``with_noun``, the pairs that some
        noun node holds.

    Raises:
        ConfigError: WordNet cannot be had.
    """
    import numpy as np

    if config.hypernyms == "wordnet":
        rows, codes, paths = _by_hypernym(nouns, config)
    else:
        rows, codes, paths = _by_category(np.asarray(categories, dtype=object), nouns, config)
    owners: Sequence[str] = list(uids)
    nodes: list[dict[str, Any]] = [{"id": ROOT, "name": ROOT, "parent": None, "level": 0, "samples": len(owners)}]
    for level in range(1, max(map(len, paths), default=0) + 1):
        nodes += _nodes_of(level, rows, codes, paths, owners)
    is_noun = np.array([len(path) > 1 for path in paths], dtype=bool)
    return {
        "hypernyms": config.hypernyms,
        "min_count": config.min_noun_count,
        "with_noun": len(distinct(rows[is_noun[codes]])) if len(rows) else 0,
        "nodes": sorted(nodes, key=lambda node: str(node["id"])),
    }


def ontology_tree(run: Path, *, widest: int = 12) -> Branch:
    """Return the tree of a run for drawing, with at most `widest` children a node."""
    nodes = files.read_json(run / FILE)["nodes"]
    below: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for node in nodes:
        below[node["parent"]].append(node)

    def branch(node: dict[str, Any]) -> Branch:
        children = sorted(below[node["id"]], key=lambda child: (-child["samples"], child["id"]))
        shown = tuple(branch(child) for child in children[:widest])
        own = {name: node[name] for name in ("id", "name", "level", "samples")}
        return Branch(**own, children=shown, hidden=len(children) - len(shown))

    return branch(below[None][0])


def _nodes_of(
    level: int, rows: "np.ndarray", codes: "np.ndarray", paths: Sequence[tuple[str, ...]], uids: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the nodes of one level: the paths that are at least as long, cut there.

    Args:
        level: from 1.
        rows: (M,) the pair of each occurrence.
        codes: (M,) the path of each occurrence.
        paths: names from the level below the root down.
        uids: of the pairs.
    """
    import numpy as np

    heads = sorted({path[:level] for path in paths if len(path) >= level})
    number = {head: place for place, head in enumerate(heads)}
    head_of = np.array([number.get(path[:level], -1) if len(path) >= level else -1 for path in paths], dtype=np.int64)
    own = head_of[codes]
    held = distinct(own[own >= 0] * len(uids) + rows[own >= 0])  # sorted by node, then by pair: each pair once
    heads_held, members = np.divmod(held, len(uids))
    ends = np.searchsorted(heads_held, np.arange(len(heads) + 1))
    nodes = []
    for place, head in enumerate(heads):
        chosen = [uids[row] for row in members[ends[place] : ends[place + 1]].tolist()]
        nodes.append(
            {
                "id": "/".join((ROOT, *head)),
                "name": _shown(head[-1]),
                "parent": "/".join((ROOT, *head[:-1])),
                "level": level,
                "samples": len(chosen),
                "members": chosen,
            }
        )
    return nodes


def _by_category(
    categories: "np.ndarray", nouns: Lemmas, config: OntologyConfig
) -> tuple["np.ndarray", "np.ndarray", list[tuple[str, ...]]]:
    """Return occurrences of paths: (category,) of every pair, and (category, noun) of those with a frequent one."""
    import numpy as np

    names, heading = np.unique(np.where(categories == "", UNCATEGORISED, categories), return_inverse=True)
    both = heading[nouns.rows] * max(1, len(nouns.names)) + nouns.codes
    keys, code, counts = np.unique(both, return_inverse=True, return_counts=True)
    frequent = counts >= config.min_noun_count
    place = np.cumsum(frequent) - 1 + len(names)
    paths: list[tuple[str, ...]] = [(_part(name),) for name in names]
    for key in keys[frequent].tolist():
        category, noun = divmod(key, max(1, len(nouns.names)))
        paths.append((_part(names[category]), _part(nouns.names[noun])))
    kept = frequent[code]
    rows = np.concatenate([np.arange(len(categories)), nouns.rows[kept]])
    return rows, np.concatenate([heading, place[code[kept]]]), paths


def _by_hypernym(nouns: Lemmas, config: OntologyConfig) -> tuple["np.ndarray", "np.ndarray", list[tuple[str, ...]]]:
    """Return occurrences of paths: (hypernyms…, noun) of the pairs with a frequent noun."""
    import numpy as np

    frequent = np.bincount(nouns.codes, minlength=len(nouns.names)) >= config.min_noun_count
    place = np.cumsum(frequent) - 1
    kept = frequent[nouns.codes]
    rows, codes = nouns.rows[kept], place[nouns.codes[kept]]
    lemmas = [str(name) for name in nouns.names[frequent]]
    wordnet = read_wordnet()
    known = [wordnet.path(lemma) for lemma in lemmas]
    chains = _telling(known, lemmas, rows, codes, config)
    nearest = [path[-2:-1] or [UNCATEGORISED] for path in known]
    heads = [chain or fallback for chain, fallback in zip(chains, nearest, strict=True)]
    return rows, codes, [(*head, _part(lemma)) for head, lemma in zip(heads, lemmas, strict=True)]


def _telling(
    chains: list[list[str]], lemmas: list[str], rows: "np.ndarray", codes: "np.ndarray", config: OntologyConfig
) -> list[list[str]]:
    """Return of each noun's synsets those that tell something: neither nearly all, nor one child's only parent."""
    import numpy as np

    most = config.max_share * len(distinct(rows))
    general: set[str] = set()
    for depth in range(max(map(len, chains), default=0)):
        names, at_depth = np.unique(
            [chain[depth] if depth < len(chain) else "" for chain in chains], return_inverse=True
        )
        held = distinct(at_depth[codes] * (rows.max() + 1) + rows) // (rows.max() + 1)
        counts = np.bincount(held, minlength=len(names))
        general |= {str(name) for name, count in zip(names, counts, strict=True) if count > most}
    specific = [[name for name in chain if name not in general] for chain in chains]
    children: dict[str, set[str]] = defaultdict(set)
    for chain, lemma in zip(specific, lemmas, strict=True):
        for name, child in itertools.pairwise([*chain, f"{lemma} "]):
            children[name].add(child)
    return [[name for name in chain if len(children[name]) > 1][: config.levels] for chain in specific]


def _part(name: str) -> str:
    """Return a name as a part of an id."""
    return str(name).replace("/", "-")


def _shown(part: str) -> str:
    """Return the name of a node: a synset's without its number."""
    name, dot, number = part.rpartition(".")
    return name.replace("_", " ") if dot and number.isdigit() and len(number) == 8 else part
