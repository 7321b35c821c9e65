"""What the pairs are about: the tree of nouns as the page draws it."""

from dataclasses import dataclass
from pathlib import Path

from pipeline import files
from pipeline.curriculum.ontology import FILE, Branch, ontology_tree
from pipeline.report.config import ReportConfig


@dataclass(frozen=True, kw_only=True)
class Concepts:
    """The tree.

    Attributes:
        tree: the root with its largest branches.
        largest: samples of the largest node by level, against which the others of this level are drawn.
        nodes: of the whole tree, without the root.
        with_noun: samples that some noun of the tree holds.
        hypernyms: what stands above nouns.
        min_count: samples that a noun needs.
    """

    tree: Branch
    largest: dict[int, int]
    nodes: int
    with_noun: int
    hypernyms: str
    min_count: int


def read_concepts(config: ReportConfig, run: Path) -> Concepts | None:
    """Return the tree of a run, or None where there is none or nothing but its root."""
    if not (run / FILE).is_file():
        return None
    found = files.read_json(run / FILE)
    tree = ontology_tree(run, widest=config.branches)
    if not tree.children:
        return None
    return Concepts(
        tree=tree,
        largest=_largest(tree),
        nodes=len(found["nodes"]) - 1,
        with_noun=found["with_noun"],
        hypernyms=found["hypernyms"],
        min_count=found["min_count"],
    )


def _largest(node: Branch) -> dict[int, int]:
    """Return the samples of the largest node of each level below one."""
    found: dict[int, int] = {}
    for child in node.children:
        for level, samples in {child.level: child.samples, **_largest(child)}.items():
            found[level] = max(samples, found.get(level, 0))
    return found
