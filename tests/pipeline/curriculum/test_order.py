import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.controls import NAMES
from pipeline.curriculum.order import order
from pipeline.errors import DataError
from pipeline.files import files_below, read_json, sha256_file
from pipeline.select.kept import FILE
from pipeline.tables import read_columns, read_table, write_table
from pipeline.workspace import check_funnel

ORDERS: list[dict[str, Any]] = [
    {"by": "quantile"},
    {"by": "value", "edges": [1, 4]},
    {"by": "corpus", "stages": ["one", "two"], "within": "group"},
    {"by": "vocabulary", "within": "random", "vocabulary": {"seed_words": 3}, "seed": 3},
    {"difficulty": "caption", "within": "concept_blocked", "missing": "hardest"},
    {"difficulty": {"image.clutter": -1}, "within": "interleaved", "pool": "cumulative"},
]


def bare_run(small_run: Path, folder: Path) -> Path:
    for name in ("signals", "selection"):
        shutil.copytree(small_run / name, folder / name)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files_below(folder)}


@pytest.mark.parametrize("values", ORDERS, ids=lambda values: "-".join(map(str, values.values()))[:30])
def test_the_order_of_rows_changes_no_byte(word_run: Path, tmp_path: Path, values: dict[str, Any]) -> None:
    config = CurriculumConfig.model_validate({"monotone": "report", **values})
    counts = order(config, word_run, tmp_path / "once")
    check_funnel("order", counts)
    assert counts["in"] == 11
    assert "changed_stage" not in counts
    for path in files_below(word_run):
        table = read_table(path)
        write_table(path, table.take(np.random.default_rng(5).permutation(table.num_rows)))
    order(config, word_run, tmp_path / "shuffled")
    assert hashes(tmp_path / "once") == hashes(tmp_path / "shuffled")


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.sampled_from(ORDERS), seed=st.integers(0, 50))
def test_controls_hold_the_same_samples_with_the_same_exposure(
    word_run: Path, tmp_path: Path, values: dict[str, Any], seed: int
) -> None:
    config = CurriculumConfig.model_validate({"monotone": "report", **values, "seed": seed})
    order(config, word_run, tmp_path)
    folder = tmp_path / "curriculum"
    main = read_columns(folder / "order.parquet")
    assert main["rank"] == list(range(11))
    assert main["stage"] == sorted(main["stage"])
    kept = read_columns(word_run / FILE)
    words = {uid: len(caption.split()) for uid, caption in zip(kept["uid"], kept["caption"], strict=True)}
    summary = read_json(folder / "summary.json")
    assert {path.stem for path in (folder / "controls").iterdir()} == set(NAMES)
    for name in NAMES:
        control = read_columns(folder / f"controls/{name}.parquet")
        assert list(control) == ["uid", "stage", "stage_name", "rank"]
        assert sorted(control["uid"]) == sorted(main["uid"])
        for column in ("stage", "stage_name", "rank"):
            assert control[column] == main[column]
        spoken = [0] * len(config.stages)
        for uid, stage in zip(control["uid"], control["stage"], strict=True):
            spoken[stage - 1] += words[uid]
        assert summary["words_by_stage_in_controls"][name] == spoken


def test_difficulty_rises_and_its_components_explain_it(small_run: Path) -> None:
    table = read_columns(small_run / "curriculum/order.parquet")
    assert table["difficulty"] == sorted(table["difficulty"])
    weights = read_json(small_run / "curriculum/summary.json")["weights"]
    assert sum(map(abs, weights.values())) == pytest.approx(1)
    explained = sum(abs(weight) * np.array(table[column]) for column, weight in weights.items())
    np.testing.assert_allclose(explained, table["difficulty"], atol=1e-8)


def test_the_values_that_decided_are_kept_beside_the_order(small_run: Path, tmp_path: Path) -> None:
    order(CurriculumConfig(by="value", edges=(3, 4)), small_run, tmp_path)
    table = read_columns(tmp_path / "curriculum/signals.parquet")
    tokens = read_columns(small_run / "signals/caption.parquet")
    length = dict(zip(tokens["uid"], tokens["tokens"], strict=True))
    assert table["uid"] == sorted(read_columns(tmp_path / "curriculum/order.parquet")["uid"])
    assert table["caption.tokens"] == table["cut"] == [length[uid] for uid in table["uid"]]


def test_the_summary_agrees_with_the_order(small_run: Path) -> None:
    summary = read_json(small_run / "curriculum/summary.json")
    table = read_columns(small_run / "curriculum/order.parquet")
    samples = read_columns(small_run / "signals/samples.parquet")
    caption = dict(zip(samples["uid"], samples["caption"], strict=True))
    known: set[str] = set()
    for entry in summary["stages"]:
        texts = [
            caption[uid] for uid, stage in zip(table["uid"], table["stage"], strict=True) if stage == entry["stage"]
        ]
        words = {word for text in texts for word in text.split()}
        assert entry["samples"] == len(texts)
        assert entry["words"] == sum(len(text.split()) for text in texts)
        assert entry["new_words"] == len(words - known)
        known |= words
        assert entry["vocabulary"] == len(known)
    total = sum(entry["words"] for entry in summary["stages"])
    assert all(sum(words) == total for words in summary["words_by_stage_in_controls"].values())
    assert summary["growth"][-1] == {"stage": 3, "samples": 120, "vocabulary": len(known)}
    assert len(summary["growth"]) >= 50
    exposed = summary["exposure"]
    assert {"pool", "replay", "word_budget", "stages"} <= exposed.keys()
    assert [entry["samples"] for entry in exposed["stages"]] == [entry["samples"] for entry in summary["stages"]]
    assert summary["easier_than_before"] == []


def test_stages_by_the_value_of_a_column(small_run: Path, tmp_path: Path) -> None:
    config = CurriculumConfig(
        stages=("short", "long"), by="value", column="caption.tokens", edges=(3,), difficulty={"caption.tokens": 1}
    )
    order(config, small_run, tmp_path)
    table = read_columns(tmp_path / "curriculum/order.parquet")
    tokens = read_columns(small_run / "signals/caption.parquet")
    length = dict(zip(tokens["uid"], tokens["tokens"], strict=True))
    for uid, name in zip(table["uid"], table["stage_name"], strict=True):
        assert name == ("short" if length[uid] <= 3 else "long")


def test_a_random_order_within_stages_keeps_the_stages(small_run: Path, tmp_path: Path) -> None:
    main = read_columns(small_run / "curriculum/order.parquet")
    drawn = []
    for seed in (0, 1):
        order(CurriculumConfig(stages=("one", "two", "three"), within="random", seed=seed), small_run, tmp_path)
        table = read_columns(tmp_path / "curriculum/order.parquet")
        assert dict(zip(table["uid"], table["stage"], strict=True)) == dict(
            zip(main["uid"], main["stage"], strict=True)
        )
        drawn.append(table["uid"])
    assert drawn[0] != drawn[1] != main["uid"]


def test_an_order_that_replaces_another_counts_who_changed_stage(word_run: Path, tmp_path: Path) -> None:
    old = CurriculumConfig(stages=("one", "two"), by="corpus", monotone="report")
    new = CurriculumConfig(stages=("one", "two"), by="value", edges=(1,))
    order(old, word_run, word_run)
    assert order(old, word_run, word_run)["changed_stage"] == 0
    before = read_columns(word_run / "curriculum/order.parquet", ["uid", "stage"])
    counts = order(new, word_run, word_run)
    after = read_columns(word_run / "curriculum/order.parquet", ["uid", "stage"])
    stage = dict(zip(before["uid"], before["stage"], strict=True))
    moved = sum(stage[uid] != number for uid, number in zip(after["uid"], after["stage"], strict=True))
    assert counts["changed_stage"] == moved > 0
    order(new, word_run, tmp_path / "fresh")
    assert hashes(tmp_path / "fresh/curriculum") == hashes(word_run / "curriculum")  # history leaves no trace in bytes


def test_an_empty_stage_an_empty_split_and_a_budget_are_one_line(small_run: Path, tmp_path: Path) -> None:
    config = CurriculumConfig(stages=("a", "b"), by="value", edges=(99,))
    with pytest.raises(DataError, match=r"stage 2 \(b\) is empty; change curriculum.edges"):
        order(config, small_run, tmp_path)
    with pytest.raises(DataError, match=r"more than curriculum.word_budget 5"):
        order(CurriculumConfig(word_budget=5), small_run, tmp_path)
    run = bare_run(small_run, tmp_path / "run")
    kept = read_columns(run / FILE)
    write_table(run / FILE, {**kept, "split": ["validation"] * len(kept["uid"])})
    with pytest.raises(DataError, match="holds no training sample"):
        order(CurriculumConfig(), run, tmp_path)
