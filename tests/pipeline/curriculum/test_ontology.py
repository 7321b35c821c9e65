from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curriculum.config import CurriculumConfig, OntologyConfig
from pipeline.curriculum.lemmas import Lemmas
from pipeline.curriculum.ontology import build_ontology, ontology_tree
from pipeline.curriculum.order import order
from pipeline.files import read_json

NOUNS = ["a/b", "cake", "dog", "egg"]
samples = st.lists(
    st.tuples(st.sampled_from(["", "food", "animals"]), st.sets(st.sampled_from(NOUNS))), min_size=1, max_size=40
)


def tree_of(rows: list[tuple[str, set[str]]], **config: Any) -> dict[str, Any]:
    both = [(row, NOUNS.index(noun)) for row, (_, nouns) in enumerate(rows) for noun in sorted(nouns)]
    pairs = np.array(both, dtype=np.int64).reshape(-1, 2)
    nouns = Lemmas(names=np.array(NOUNS, dtype=object), rows=pairs[:, 0], codes=pairs[:, 1])
    uids = [f"{number:04d}" for number in range(len(rows))]
    return build_ontology(uids, [row[0] for row in rows], nouns, OntologyConfig.model_validate(config))


def check_strict(tree: dict[str, Any]) -> dict[str, dict[str, Any]]:
    nodes = {node["id"]: node for node in tree["nodes"]}
    assert list(nodes) == sorted(nodes) and len(nodes) == len(tree["nodes"])
    for node in nodes.values():
        if node["parent"] is None:
            continue
        assert node["samples"] == len(node["members"]) == len(set(node["members"]))
        assert node["members"] == sorted(node["members"])
        parent = nodes[node["parent"]]
        assert node["level"] == parent["level"] + 1
        assert set(node["members"]) <= set(parent.get("members", node["members"]))
    return nodes


@given(samples, st.integers(1, 4))
def test_the_tree_is_strict_and_counts_agree(rows: list[tuple[str, set[str]]], min_count: int) -> None:
    tree = tree_of(rows, min_noun_count=min_count)
    nodes = check_strict(tree)
    assert nodes["root"]["samples"] == len(rows)
    members = {level: [uid for n in nodes.values() if n["level"] == level for uid in n["members"]] for level in (1, 2)}
    assert sorted(members[1]) == [f"{number:04d}" for number in range(len(rows))]
    assert tree["with_noun"] == len(set(members[2]))
    assert all(node["samples"] >= min_count for node in nodes.values() if node["level"] == 2)
    for row, (category, nouns) in enumerate(rows):
        for noun in nouns:
            alike = sum(category == other and noun in words for other, words in rows)
            identity = f"root/{category or 'uncategorised'}/{noun.replace('/', '-')}"
            assert (f"{row:04d}" in nodes[identity]["members"]) if alike >= min_count else identity not in nodes


def test_a_noun_of_two_categories_is_two_nodes() -> None:
    tree = tree_of([("food", {"egg"}), ("toys", {"egg", "cake"}), ("", {"egg"})], min_noun_count=1)
    assert [node["id"] for node in tree["nodes"]] == [
        "root",
        "root/food",
        "root/food/egg",
        "root/toys",
        "root/toys/cake",
        "root/toys/egg",
        "root/uncategorised",
        "root/uncategorised/egg",
    ]


def test_the_picture_of_a_tree_shows_the_largest_branches(word_run: Path, tmp_path: Path) -> None:
    config = CurriculumConfig.model_validate({"ontology": {"min_noun_count": 1}})
    order(config, word_run, tmp_path)
    tree = ontology_tree(tmp_path, widest=2)
    assert (tree.name, tree.samples, tree.hidden) == ("root", 11, 1)
    first = tree.children[0]
    assert (first.name, first.samples, first.hidden, len(first.children)) == ("uncategorised", 6, 6, 2)
    assert [child.name for child in first.children] == ["ball", "dog"]
    assert "members" not in vars(first)


def test_hypernyms_of_wordnet(word_run: Path, tmp_path: Path, npm_registry: None) -> None:
    config = CurriculumConfig.model_validate({"ontology": {"hypernyms": "wordnet", "min_noun_count": 1}})
    order(config, word_run, tmp_path)
    nodes = check_strict(read_json(tmp_path / "curriculum/ontology.json"))
    paths = {node["name"]: [part.partition(".")[0] for part in node["id"].split("/")] for node in nodes.values()}
    # Living things are more than half of the samples with a noun, so a giraffe stands below its nearest hypernym.
    assert paths["dog"] == ["root", "carnivore", "dog"] and paths["cat"] == ["root", "carnivore", "cat"]
    assert paths["giraffe"] == ["root", "ruminant", "giraffe"]
    assert paths["boat"] == ["root", "instrumentality", "boat"]
    assert not any(name in paths for name in ("entity", "living thing", "zebra"))
