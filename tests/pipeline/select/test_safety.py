"""Words for children: what counts as a hit, and that a hit stops the run unless the recipe says to drop."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigError, SafetyError
from pipeline.select.config import SafetyConfig
from pipeline.select.safety import safety_drops, unsafe_heading, word_list
from pipeline.tables import write_table

HITS = {
    "pistol": "weapons",
    "crossed swords": "weapons",
    "A knife and a water pistol.": "weapons",
    "clinking beer mugs": "alcohol",
    "wine glass": "alcohol",
    "Bottle with popping cork": "alcohol",
    "cigarette": "tobacco_and_drugs",
    "slot machine": "gambling",
    "reverse hand middle finger": "gestures",
    "No one under eighteen!": "sexual",
    "coffin": "death",
    "the Apple logo": "brands",
}
HARMLESS = [
    "water pistol",
    "fork and knife with plate",
    "no smoking",
    "He held the smoking branch in his teeth.",
    "A hut has got one door and two windows.",
    "A glass tumbler on a windowsill.",
    "Stop, for goodness' sake!",
    "The cat had drunk the milk.",
    "The birds twitter in the trees.",
    "18 birds",
    "glass of milk",
    "skunk",
    "a begun drawing",
]


@pytest.mark.parametrize("caption", HITS)
def test_hits(caption: str) -> None:
    assert unsafe_heading(caption, [], tuple(word_list())) == HITS[caption]


@pytest.mark.parametrize("caption", HARMLESS)
def test_harmless(caption: str) -> None:
    assert unsafe_heading(caption, [], tuple(word_list())) == ""


def test_other_forms_of_a_word_are_found_by_their_lemma() -> None:
    headings = tuple(word_list())
    assert unsafe_heading("two guns", ["gun"], headings) == "weapons"
    assert unsafe_heading("two guns and a water pistol", ["gun", "water", "pistol"], headings) == "weapons"
    assert unsafe_heading("a water pistol", ["water", "pistol"], headings) == ""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    captions = ["teddy bear", "two pistols", "beer mug", "wine glass", "gun"]
    uids = [str(number) for number in range(len(captions))]
    write_table(tmp_path / "signals/samples.parquet", {"uid": uids, "caption": captions})
    nouns = [["bear"], ["pistol"], ["mug"], ["glass"], None]
    write_table(tmp_path / "signals/caption.parquet", {"uid": uids, "nouns": nouns, "verbs": [[]] * len(uids)})
    return tmp_path


def test_a_hit_stops_the_run_with_code_6_and_says_how_to_go_on(run: Path) -> None:
    with pytest.raises(SafetyError) as stop:
        safety_drops(SafetyConfig(), run, "01234")
    assert stop.value.exit_code == 6
    assert str(stop.value) == (
        "4 captions hold words that do not belong in a corpus for children (2 alcohol, 2 weapons); to leave these "
        "samples out, set select.safety.on_hit: drop"
    )


def test_hits_are_dropped_where_the_recipe_says_so(run: Path) -> None:
    drops = safety_drops(SafetyConfig(on_hit="drop"), run, "01234")
    reasons = {uid: drop.reason for uid, drop in drops.items()}
    assert reasons == {"1": "unsafe_weapons", "2": "unsafe_alcohol", "3": "unsafe_alcohol", "4": "unsafe_weapons"}
    assert {drop.step for drop in drops.values()} == {"safety"}


def test_what_a_filter_has_dropped_cannot_stop_the_run(run: Path) -> None:
    assert safety_drops(SafetyConfig(), run, "0") == {}


def test_headings_and_captions_can_be_chosen(run: Path) -> None:
    assert set(safety_drops(SafetyConfig(on_hit="drop", headings=("weapons",)), run, "01234")) == {"1", "4"}
    assert set(safety_drops(SafetyConfig(on_hit="drop", allow=("Wine glass", "gun")), run, "01234")) == {"1", "2"}
    assert safety_drops(SafetyConfig(on_hit="off"), run, "01234") == {}
    with pytest.raises(ConfigError, match=r"no heading wepons; there are weapons, alcohol"):
        safety_drops(SafetyConfig(headings=("wepons",)), run, "01234")
