"""What is read from a stages directory beside the sets, in the form in which `pipeline.shards.extras` writes it."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from toy_learner import add_control, add_to_manifest, add_tree

from essen.config import SamplingConfig
from essen.data import read_pairs
from essen.errors import StagesError
from essen.sampling.build import build_sampler
from essen.sampling.orders import draw_pairs, hold_out, read_columns_of, read_ontology
from pipeline.shards.read import open_stages


@pytest.fixture
def stages(new_stages: Callable[..., Path], drawing: Callable[[str], bytes], tmp_path: Path) -> Path:
    """Three stages of eight drawings each; every fourth drawing has two captions."""
    colours = ("red", "green", "blue", "black", "orange", "purple", "brown", "pink")
    picture = {colour: drawing(colour) for colour in colours}
    sets = [[(f"{word} {colour}", picture[colour]) for colour in colours] for word in ("a", "the", "one")]
    return new_stages(tmp_path / "stages", sets, sets[0][:2])


def test_the_order_is_that_of_the_shards(stages: Path) -> None:
    opened = open_stages(stages)
    columns = read_columns_of(opened, read_pairs(opened.stages))
    assert columns.places.tolist() == list(range(24)) and columns.stages.tolist() == [1] * 8 + [2] * 8 + [3] * 8
    assert columns.difficulty.tolist() == [rank / 100 for rank in range(24)]
    assert {name: rows.tolist() for name, rows in columns.sources("stage", np.arange(10)).items()} == {
        "stage1": list(range(8)),
        "stage2": [8, 9],
        "stage3": [],
    }
    assert columns.sources("corpus", np.arange(3))["shapes"].tolist() == [0, 1, 2]


def test_a_control_gives_the_places_of_the_order_to_other_samples(stages: Path) -> None:
    add_control(stages, "reversed", lambda places: places[::-1])
    opened = open_stages(stages)
    pairs = read_pairs(opened.stages)
    columns = read_columns_of(opened, pairs, "reversed")
    assert columns.places.tolist() == list(range(23, -1, -1)) and columns.stages.tolist() == [3] * 8 + [2] * 8 + [1] * 8
    assert columns.difficulty.tolist() == [rank / 100 for rank in range(23, -1, -1)]
    assert set(columns.stage_names[:8]) == {"stage3"}
    config = SamplingConfig(order="reversed", uniform_from=1, replay=0)
    rows, held_out = hold_out(columns, 0, 0)
    sampler = build_sampler(config, columns, rows, held_out, batch_size=4, steps=30, seed=0)
    assert all(set(sampler.batch(step)) <= set(range(16, 24)) for step in range(10))


def test_a_control_that_is_missing_damaged_or_of_other_samples_is_one_line(stages: Path) -> None:
    opened = open_stages(stages)
    pairs = read_pairs(opened.stages)
    with pytest.raises(StagesError, match=r"holds no orders/random\.parquet; stage again with this version"):
        read_columns_of(opened, pairs, "random")
    path = add_control(stages, "random", lambda places: places[:-1])
    opened = open_stages(stages)
    with pytest.raises(StagesError, match="does not hold exactly the samples"):
        read_columns_of(opened, pairs, "random")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StagesError, match="missing or damaged"):
        read_columns_of(opened, pairs, "random")


def test_the_ontology_is_read_as_the_manifest_lists_it(stages: Path) -> None:
    add_tree(stages)
    tree = read_ontology(open_stages(stages))
    assert [node["id"] for node in tree["nodes"]] == ["root", "root/a", "root/one", "root/the"]
    (stages / "ontology.json").write_text("{}")
    with pytest.raises(StagesError, match=r"ontology\.json is missing or damaged"):
        read_ontology(open_stages(stages))


def test_what_the_curriculum_declares_reaches_the_sampler(stages: Path) -> None:
    add_to_manifest(stages, exposure={"pool": "cumulative", "replay": 0.0, "word_budget": None})
    opened = open_stages(stages)
    columns = read_columns_of(opened, read_pairs(opened.stages))
    rows, held_out = hold_out(columns, 0, 0)
    sampler = build_sampler(
        SamplingConfig(uniform_from=1),
        columns,
        rows,
        held_out,
        batch_size=6,
        steps=30,
        seed=0,
        exposure=opened.manifest["exposure"],
    )
    drawn = np.concatenate([columns.stages[sampler.batch(step)] for step in range(20, 30)])
    assert set(drawn) == {1, 2, 3}


def test_the_held_out_share_is_of_pictures_and_of_every_corpus(stages: Path) -> None:
    opened = open_stages(stages)
    columns = read_columns_of(opened, read_pairs(opened.stages))
    rows, held_out = hold_out(columns, 0.2, seed=1)
    assert len(rows) == 18 and len(held_out) == 6  # two of eight pictures, with all three captions of each
    assert not set(columns.images[rows]) & set(columns.images[held_out])
    assert [len(part) for part in hold_out(columns, 0.0, seed=1)] == [24, 0]
    assert held_out.tolist() != hold_out(columns, 0.2, seed=2)[1].tolist()


def test_a_part_of_the_pairs_holds_whole_pictures_and_lies_within_a_larger_part(stages: Path) -> None:
    opened = open_stages(stages)
    columns = read_columns_of(opened, read_pairs(opened.stages))
    every = len(columns.uids)
    parts = [draw_pairs(columns, number, seed=3) for number in range(2, every + 2)]
    for smaller, larger in pairwise(parts):
        assert set(smaller) <= set(larger)
    for number, part in enumerate(parts, start=2):
        own, others = set(columns.images[part]), set(np.delete(columns.images, part))
        assert not own & others, "a picture is in or out with all its captions"
        assert len(part) <= number or len(own) == 2
    assert len(parts[-1]) == every
    assert any(not np.array_equal(draw_pairs(columns, every // 2, seed), parts[every // 2 - 2]) for seed in range(4))
    rows, held = hold_out(columns, 0.2, seed=3, among=parts[every // 2 - 2])
    assert sorted([*rows, *held]) == parts[every // 2 - 2].tolist() and len(held)
