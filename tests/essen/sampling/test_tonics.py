from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_learner import drive, learner, make_columns, make_ontology, make_sampler

from essen.config import SamplingConfig, TonicsConfig
from essen.errors import StagesError
from essen.sampling.draw import BatchRule
from essen.sampling.ontology import Node, build_tree
from essen.sampling.orders import hold_out
from essen.sampling.sampler import Logits, next_batch
from essen.sampling.tonics import TonicsSampler

COLUMNS = make_columns()


def tree(size: int = 4, **config: Any) -> list[Node]:
    rows, held_out = hold_out(COLUMNS, 0.2, 0)
    rule = BatchRule.of(COLUMNS.images, COLUMNS.captions, size=size)
    return build_tree(make_ontology(COLUMNS), COLUMNS.uids, rows, held_out, rule, config=TonicsConfig(**config), seed=0)


def sampler_of(**config: Any) -> TonicsSampler:
    sampling = SamplingConfig.model_validate({"kind": "tonics", "held_out": 0.2, "tonics": {"pairs": 3, **config}})
    sampler, _, _ = make_sampler(sampling, COLUMNS, batch_size=4)
    assert isinstance(sampler, TonicsSampler)
    return sampler


def answers_for(sampler: TonicsSampler, step: int, right: bool) -> list[Logits]:
    sign = np.float32(1 if right else -1)
    return [sign * np.eye(len(question.rows), dtype=np.float32) for question in sampler.questions(step)]


def test_the_tree_is_that_of_the_ontology_over_the_rows_that_are_trained_on() -> None:
    nodes = tree(pairs=2)
    rows, held_out = hold_out(COLUMNS, 0.2, 0)
    assert [node.name for node in nodes[:4]] == ["root", "root/books", "root/drawings", "root/stamps"]
    assert nodes[0].rows.tolist() == rows.tolist() and nodes[0].onward == (1, 2, 3)
    for number, node in enumerate(nodes):
        assert set(node.rows) <= set(rows)
        for child in node.onward:
            assert nodes[child].name.startswith(node.name) and set(nodes[child].rows) <= set(node.rows)
        if number in (1, 2, 3):
            assert sorted(np.concatenate([nodes[child].rows for child in node.onward])) == node.rows.tolist()
        for batch in node.examined:
            assert set(batch) <= set(held_out) and len(set(COLUMNS.captions[batch])) == len(batch) == 2
            assert len(set(COLUMNS.images[batch])) == 2
    assert len(nodes[0].examined) == 2


def test_nodes_that_cannot_fill_a_batch_are_left_out() -> None:
    assert [node.name for node in tree(size=30)] == ["root", "root/books", "root/drawings", "root/stamps"]
    assert [node.name for node in tree(depth=1)] == ["root", "root/books", "root/drawings", "root/stamps"]
    assert len(tree(min_count=17)) < len(tree(min_count=1)) == 16
    with pytest.raises(StagesError, match=r"fills a batch of 100; lower train\.batch_size"):
        tree(size=100)


def test_what_is_below_a_node_that_is_left_out_belongs_to_the_next_one_above() -> None:
    ontology = make_ontology(COLUMNS)
    small = next(node for node in ontology["nodes"] if node["id"] == "root/books")
    small["members"] = small["members"][:2]
    rows, held_out = hold_out(COLUMNS, 0.2, 0)
    rule = BatchRule.of(COLUMNS.images, COLUMNS.captions, size=4)
    nodes = build_tree(ontology, COLUMNS.uids, rows, held_out, rule, config=TonicsConfig(pairs=2), seed=0)
    children = [nodes[child].name for child in nodes[0].onward]
    assert "root/books" not in children and "root/books/n0" in children


@pytest.mark.parametrize("kind", ["ontology", "shuffled", "reversed"])
@settings(max_examples=15, deadline=None)
@given(outcomes=st.lists(st.booleans(), min_size=40, max_size=40))
def test_whatever_is_learnt_the_probabilities_stay_probabilities(kind: str, outcomes: list[bool]) -> None:
    sampler = sampler_of(tree=kind, every=1, smoothing=0.0, keep=0.0, patience=9)
    for step, right in enumerate(outcomes):
        sampler.observe(step, answers_for(sampler, step, right))
        assert abs(sampler.probability.sum() - 1) < 1e-9 and sampler.probability.min() >= 0
        if kind != "reversed":
            assert sampler.probability[0] >= 0.1 - 1e-12  # so every pair stays reachable


def test_a_node_opens_at_its_threshold_to_its_children_by_the_roots_of_their_sizes() -> None:
    sampler = sampler_of(every=5, keep=0.25, smoothing=0.0)
    nodes = tree(pairs=3)
    assert [q for step in (0, 1, 4, 6) for q in sampler.questions(step)] == []
    sampler.observe(5, answers_for(sampler, 5, right=False))
    assert sampler.probability[0] == 1.0
    sampler.observe(10, answers_for(sampler, 10, right=True))
    sizes = np.sqrt([len(nodes[child].rows) for child in (1, 2, 3)])
    assert sampler.probability[0] == 0.25
    assert sampler.probability[1:4].tolist() == pytest.approx((0.75 * sizes / sizes.sum()).tolist())
    assert sampler.report(10)["opened"] == {"root": 10}
    asked = {tuple(q.rows) for q in sampler.questions(15)}
    assert asked == {tuple(batch) for child in (1, 2, 3) for batch in nodes[child].examined}


def test_accuracies_are_averaged_over_time() -> None:
    sampler = sampler_of(every=1, smoothing=0.5, threshold=0.7, patience=999)
    opened = []
    for step, right in enumerate([False, False, True, True, True], start=1):
        sampler.observe(step, answers_for(sampler, step, right))
        opened.append(bool(sampler.report(step)["opened"]))
    assert opened == [False, False, False, True, True]


def test_a_model_that_never_learns_opens_everything_by_patience() -> None:
    sampler = sampler_of(every=2, patience=10)
    for step in range(400):
        sampler.observe(step, answers_for(sampler, step, right=False))
    assert sampler.report(399)["opened"].keys() == {"root", "root/books", "root/drawings", "root/stamps"}
    assert sampler.report(9)["node_accuracy"] in (None, 0.0)


def test_a_batch_of_a_noun_is_of_that_noun_alone() -> None:
    sampler = sampler_of(every=2, threshold=0.5)
    nouns = set()
    for step in range(200):
        batch = next_batch(sampler, step, learner(step))
        *_, name = sampler.report(step)["node"].split("/")
        if name.startswith("n"):
            assert set(COLUMNS.captions[batch] % 4) == {int(name[1:])}
            nouns.add(name)
    assert len(nouns) == 4


def test_the_shuffled_tree_has_the_same_sizes_and_other_members() -> None:
    true, shuffled = tree(pairs=2), tree(pairs=2, tree="shuffled")
    assert [(node.name, len(node.rows), node.onward) for node in true] == [
        (node.name, len(node.rows), node.onward) for node in shuffled
    ]
    assert shuffled[0].rows.tolist() != true[0].rows.tolist() and sorted(shuffled[0].rows) == sorted(true[0].rows)
    assert len(set(COLUMNS.corpora[shuffled[1].rows])) == 3
    for node in shuffled:
        for child in node.onward:
            assert set(shuffled[child].rows) <= set(node.rows)


def test_leaves_only_never_leave_them_and_reversed_ends_at_the_root() -> None:
    leaves, back = sampler_of(tree="leaves"), sampler_of(tree="reversed", every=2, threshold=0.5, patience=5)
    drive(leaves, range(60))
    assert all(leaves.report(step)["node"].count("/") == 2 for step in range(60))
    assert back.report(0)["node"].count("/") == 2
    drive(back, range(600))
    assert back.probability[0] == back.probability.max() > 0.4 and "root" not in back.report(599)["opened"]


def test_a_model_whose_logits_are_no_numbers_passes_nothing() -> None:
    sampler = sampler_of(every=1)
    sampler.observe(1, [np.full_like(answer, np.nan) for answer in answers_for(sampler, 1, right=True)])
    assert sampler.report(1)["opened"] == {} and sampler.state_dict()["accuracy"] == {"root": 0.0}
