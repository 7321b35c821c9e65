from hypothesis import given
from hypothesis import strategies as st

from pipeline.curriculum.ontology import build_ontology

samples = st.lists(
    st.tuples(st.sampled_from(["", "food", "animals"]), st.sets(st.sampled_from(["dog", "cake", "a/b", "egg"]))),
    max_size=40,
)


@given(samples, st.integers(1, 4))
def test_the_tree_is_strict_and_counts_agree(rows: list[tuple[str, set[str]]], min_count: int) -> None:
    uids = [f"{number:04d}" for number in range(len(rows))]
    tree = build_ontology(uids, [row[0] for row in rows], [row[1] for row in rows], min_count=min_count)
    nodes = {node["id"]: node for node in tree["nodes"]}
    assert nodes["root"]["samples"] == len(rows)
    levels: dict[int, list[str]] = {1: [], 2: []}
    for node in nodes.values():
        if node["parent"] is None:
            continue
        assert node["samples"] == len(node["members"]) == len(set(node["members"]))
        assert node["members"] == sorted(node["members"])
        levels[node["level"]] += node["members"]
        if node["level"] == 2:
            assert set(node["members"]) <= set(nodes[node["parent"]]["members"])
            assert node["samples"] >= min_count
    assert sorted(levels[1]) == uids
    assert tree["with_noun"] == len(set(levels[2]))


def test_a_noun_of_two_categories_is_two_nodes() -> None:
    tree = build_ontology(["a", "b", "c"], ["food", "toys", ""], [["egg"], ["egg", "box"], ["egg"]], min_count=1)
    assert [node["id"] for node in tree["nodes"]] == [
        "root",
        "root/food",
        "root/food/egg",
        "root/toys",
        "root/toys/box",
        "root/toys/egg",
        "root/uncategorised",
        "root/uncategorised/egg",
    ]
