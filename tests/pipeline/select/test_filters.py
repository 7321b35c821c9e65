"""Rules over columns: what they keep, what they say of what they drop, and which rules are refused."""

from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, DataError
from pipeline.select.config import PRESETS, Rule
from pipeline.select.filters import filter_samples, passes
from pipeline.tables import write_table

NUMBERS = st.floats(-10, 10) | st.integers(-10, 10) | st.none() | st.just(float("nan"))


def rule(**values: Any) -> Rule:
    return Rule(**{"column": "caption.tokens", "reason": "odd", **values})


@given(
    NUMBERS,
    st.none() | st.floats(-10, 0),
    st.none() | st.floats(0, 10),
    st.sampled_from(["keep", "drop"]),
)
def test_a_range_keeps_what_lies_in_it(value: Any, low: float | None, high: float | None, missing: str) -> None:
    if low is None and high is None:
        high = 10.0
    kept = passes(rule(min=low, max=high, missing=missing), value)
    if value is None or value != value:
        assert kept == (missing == "keep")
    else:
        assert kept == ((low is None or value >= low) and (high is None or value <= high))


@given(st.text(max_size=3), st.sets(st.text(max_size=3)), st.sets(st.text(max_size=3), min_size=1))
def test_a_set_keeps_what_is_in_it(value: str, allowed: set[str], refused: set[str]) -> None:
    assert passes(rule(allowed=tuple(allowed)), value) == (value in allowed)
    assert passes(rule(refused=tuple(refused)), value) == (value not in refused)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"column": "tokens", "min": 1},
        {"column": "nowhere.tokens", "min": 1},
        {"min": 3, "max": 2},
        {"min": 1, "reason": "Two Words"},
        {"min": 1, "maximum": 2},
    ],
)
def test_rules_that_cannot_work_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        rule(**values)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    uids = ["0", "1", "2", "3"]
    write_table(tmp_path / "signals/samples.parquet", {"uid": uids, "corpus": ["a", "a", "b", "b"]})
    write_table(tmp_path / "signals/caption.parquet", {"uid": uids, "tokens": [1, 9, 9, None]})
    write_table(tmp_path / "signals/image.parquet", {"uid": uids, "entropy": [0.0, 0.0, 5.0, float("nan")]})
    return tmp_path


def test_the_first_rule_that_a_sample_breaks_names_why(run: Path) -> None:
    rules = [rule(max=5, reason="long"), Rule(column="image.entropy", min=1, reason="blank")]
    assert {uid: drop.reason for uid, drop in filter_samples(rules, run).items()} == {
        "0": "blank",
        "1": "long",
        "2": "long",
    }
    turned = {uid: drop.reason for uid, drop in filter_samples(rules[::-1], run).items()}
    assert turned == {"0": "blank", "1": "blank", "2": "long"}


def test_a_rule_may_be_for_some_corpora_alone_and_for_missing_values(run: Path) -> None:
    assert set(filter_samples([rule(max=5, corpora=("b",))], run)) == {"2"}
    assert set(filter_samples([rule(max=5, corpora=("b",), missing="drop")], run)) == {"2", "3"}
    assert filter_samples([], run) == {}


def test_a_rule_for_a_signal_that_does_not_exist_says_which_one_is_meant(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"no column caption.token; did you mean caption.tokens\?"):
        filter_samples([Rule(column="caption.token", min=1, reason="x")], run)
    with pytest.raises(ConfigError, match=r"samples.corpus, which holds no numbers"):
        filter_samples([Rule(column="samples.corpus", min=1, reason="x")], run)


def test_signals_of_other_samples_are_refused(run: Path) -> None:
    write_table(run / "signals/caption.parquet", {"uid": ["0", "1", "2", "4"], "tokens": [1, 1, 1, 1]})
    with pytest.raises(DataError, match="of other samples than the catalogue"):
        filter_samples([rule(max=5)], run)


def test_presets_name_signals_that_are_measured() -> None:
    from pipeline.measure.caption import PARSED, PLAIN
    from pipeline.measure.image import SIGNALS

    known = {"image": set(SIGNALS), "caption": {*PLAIN, *PARSED}, "lexicon": {"zipf_mean", "zipf_min", "coverage"}}
    for preset in PRESETS.values():
        for entry in preset:
            family, _, name = entry.column.partition(".")
            assert name in known[family]
