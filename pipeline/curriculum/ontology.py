"""What the samples are about: root, the corpora's own categories, and the nouns below them.

The tree is strict: a node's samples are a part of its parent's. A noun of two categories is two nodes, and a sample
with several nouns is a member of each. Batches drawn from a node hold pairs about one thing (TOnICS, arXiv
2207.14525).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

ROOT = "root"
UNCATEGORISED = "uncategorised"


def build_ontology(
    uids: Sequence[str], categories: Sequence[str], nouns: Sequence[Iterable[str]], *, min_count: int
) -> dict[str, Any]:
    """Return the tree as a JSON value.

    Args:
        uids: of the samples.
        categories: each sample's heading in its corpus; empty where it has none.
        nouns: each sample's noun lemmas.
        min_count: samples that a noun needs within its category.

    Returns:
        ``nodes``, sorted by ``id`` (``root``, ``root/<category>``, ``root/<category>/<noun>``), each with ``name``,
        ``parent`` (null for the root), ``level``, ``samples`` and, but for the root, ``members`` (sorted uids);
        ``with_noun``, the samples that some noun node holds.
    """
    by_category: dict[str, list[str]] = defaultdict(list)
    by_noun: dict[tuple[str, str], list[str]] = defaultdict(list)
    for uid, category, words in zip(uids, categories, nouns, strict=True):
        heading = (category or UNCATEGORISED).replace("/", "-")
        by_category[heading].append(uid)
        for noun in sorted(set(words)):
            by_noun[heading, noun.replace("/", "-")].append(uid)
    nodes = [{"id": ROOT, "name": ROOT, "parent": None, "level": 0, "samples": len(uids)}]
    nodes += [_node(f"{ROOT}/{name}", 1, members) for name, members in by_category.items()]
    kept = {key: members for key, members in by_noun.items() if len(members) >= min_count}
    nodes += [_node(f"{ROOT}/{category}/{noun}", 2, members) for (category, noun), members in kept.items()]
    return {
        "min_count": min_count,
        "with_noun": len({uid for members in kept.values() for uid in members}),
        "nodes": sorted(nodes, key=lambda node: str(node["id"])),
    }


def _node(identity: str, level: int, members: list[str]) -> dict[str, Any]:
    parent, _, name = identity.rpartition("/")
    return {
        "id": identity,
        "name": name,
        "parent": parent,
        "level": level,
        "samples": len(members),
        "members": sorted(members),
    }
