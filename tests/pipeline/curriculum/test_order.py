import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.controls import NAMES
from pipeline.curriculum.order import order
from pipeline.errors import DataError
from pipeline.files import files_below, read_json, sha256_file
from pipeline.tables import read_columns, read_table, write_table
from pipeline.workspace import check_funnel


def bare_run(small_run: Path, folder: Path) -> Path:
    for name in ("signals", "selection"):
        shutil.copytree(small_run / name, folder / name)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files_below(folder)}


@pytest.mark.parametrize("within", ["easy_to_hard", "random"])
def test_the_order_of_rows_changes_no_byte(small_run: Path, tmp_path: Path, within: str) -> None:
    config = CurriculumConfig.model_validate({"within": within, "seed": 3})
    run = bare_run(small_run, tmp_path / "run")
    counts = order(config, run, tmp_path / "once")
    check_funnel("order", counts)
    assert counts["in"] == 120
    for path in files_below(run):
        table = read_table(path) if path.suffix == ".parquet" else None
        if table is not None:
            write_table(path, table.take(np.random.default_rng(5).permutation(table.num_rows)))
    order(config, run, tmp_path / "shuffled")
    assert hashes(tmp_path / "once") == hashes(tmp_path / "shuffled")


def test_controls_hold_the_same_samples_with_the_same_exposure(small_run: Path) -> None:
    folder = small_run / "curriculum"
    main = read_columns(folder / "order.parquet")
    assert main["rank"] == list(range(120))
    assert main["stage"] == sorted(main["stage"])
    for name in NAMES:
        control = read_columns(folder / f"controls/{name}.parquet")
        assert list(control) == ["uid", "stage", "stage_name", "rank"]
        assert sorted(control["uid"]) == sorted(main["uid"])
        assert control["uid"] != main["uid"]
        for column in ("stage", "stage_name", "rank"):
            assert control[column] == main[column]


def test_difficulty_rises_and_its_components_explain_it(small_run: Path) -> None:
    table = read_columns(small_run / "curriculum/order.parquet")
    assert table["difficulty"] == sorted(table["difficulty"])
    weights = CurriculumConfig().difficulty
    total = sum(abs(weight) for weight in weights.values())
    explained = sum(abs(weight) * np.array(table[column]) for column, weight in weights.items()) / total
    np.testing.assert_allclose(explained, table["difficulty"], atol=1e-8)


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


def test_an_empty_stage_and_an_empty_split_are_one_line(small_run: Path, tmp_path: Path) -> None:
    config = CurriculumConfig(stages=("a", "b"), by="value", edges=(99,))
    with pytest.raises(DataError, match=r"stage 2 \(b\) is empty; change curriculum.edges"):
        order(config, small_run, tmp_path)
    run = bare_run(small_run, tmp_path / "run")
    split = read_columns(run / "selection/split.parquet")
    write_table(run / "selection/split.parquet", {**split, "split": ["validation"] * len(split["uid"])})
    with pytest.raises(DataError, match="holds no training sample"):
        order(CurriculumConfig(), run, tmp_path)
