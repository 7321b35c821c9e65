"""Words for children: what counts as a hit, and that a hit stops the run unless the recipe says to drop."""

import io
import re
from pathlib import Path

import numpy as np
import pydantic
import pytest
from PIL import Image, ImageDraw, ImageOps
from real_pictures import corpus, encoded, picture, row

from pipeline.acquire.options import HashList, Screen
from pipeline.errors import ConfigError, SafetyError
from pipeline.files import sha256_bytes
from pipeline.measure.catalogue import write_catalogue
from pipeline.select.real_children import CorpusFacts
from pipeline.select.safety import safety_drops, safety_sources, unsafe_heading
from pipeline.select.safety_config import Classifier, RealChildrenConfig, SafetyConfig
from pipeline.select.verdict import Drop, may_be_shown
from pipeline.select.word_lists import word_list
from pipeline.tables import read_columns, write_table

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
    assert unsafe_heading(caption, [], tuple(word_list()), word_list()) == HITS[caption]


@pytest.mark.parametrize("caption", HARMLESS)
def test_harmless(caption: str) -> None:
    assert unsafe_heading(caption, [], tuple(word_list()), word_list()) == ""


def test_other_forms_of_a_word_are_found_by_their_lemma() -> None:
    headings, listing = tuple(word_list()), word_list()
    assert unsafe_heading("two guns", ["gun"], headings, listing) == "weapons"
    assert unsafe_heading("two guns and a water pistol", ["gun", "water", "pistol"], headings, listing) == "weapons"
    assert unsafe_heading("a water pistol", ["water", "pistol"], headings, listing) == ""


CAPTIONS = ["teddy bear", "two pistols", "beer mug", "wine glass", "gun"]
MADE_FOR_CHILDREN = {"a": CorpusFacts(child_directed=True, imagery="drawings")}
DROP = SafetyConfig(on_hit="drop")


def make_run(tmp_path: Path, captions: list[str], corpora: dict[str, list[bytes]]) -> Path:
    """Raw shards with a catalogue; nouns are the last words of captions, without their plural."""
    raw = {
        name: corpus(tmp_path, name, [row(caption, image) for caption, image in zip(captions, images, strict=False)])
        for name, images in corpora.items()
    }
    write_catalogue(raw, tmp_path / "signals/samples.parquet", max_characters=100)
    samples = read_columns(tmp_path / "signals/samples.parquet")
    nouns = [[caption.split()[-1].removesuffix("s")] for caption in samples["caption"]]
    lemmas = {"uid": samples["uid"], "nouns": nouns, "verbs": [[]] * len(nouns)}
    write_table(tmp_path / "signals/caption.parquet", lemmas)
    return tmp_path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path, CAPTIONS, {"a": [picture(number) for number in range(5)]})


def everything(run: Path) -> list[str]:
    return list(read_columns(run / "signals/samples.parquet", ["uid"])["uid"])


def reasons(run: Path, drops: dict[str, Drop]) -> dict[str, str]:
    captions = dict(zip(*read_columns(run / "signals/samples.parquet", ["uid", "caption"]).values(), strict=True))
    return {captions[uid]: drop.reason for uid, drop in drops.items()}


def test_a_hit_in_a_corpus_for_children_stops_the_run_with_code_6(run: Path) -> None:
    with pytest.raises(SafetyError) as stop:
        safety_drops(SafetyConfig(), run, everything(run), MADE_FOR_CHILDREN)
    assert stop.value.exit_code == 6
    found = re.fullmatch(
        r"4 samples do not belong in a corpus for children: 4 of a \(2 unsafe_alcohol, 2 unsafe_weapons\); the first "
        r"is uid ([0-9a-f]{32}) with the picture ([0-9a-f]{64}); to leave them out, set select.safety.on_hit: drop",
        str(stop.value),
    )
    assert found and found[1] in everything(run)
    assert found[2] in {sha256_bytes(picture(number)) for number in range(1, 5)}
    with pytest.raises(SafetyError):
        safety_drops(SafetyConfig(on_hit="stop"), run, everything(run))


def test_hits_are_dropped_elsewhere_and_where_the_recipe_says_so(run: Path) -> None:
    expected = {
        "two pistols": "unsafe_weapons",
        "beer mug": "unsafe_alcohol",
        "wine glass": "unsafe_alcohol",
        "gun": "unsafe_weapons",
    }
    for config, facts in ((SafetyConfig(), {}), (DROP, MADE_FOR_CHILDREN)):
        drops = safety_drops(config, run, everything(run), facts)
        assert reasons(run, drops) == expected
        assert {drop.step for drop in drops.values()} == {"safety"}
        assert not any(may_be_shown(drop.step) for drop in drops.values())
    assert may_be_shown("filter") and may_be_shown("")


def test_only_corpora_for_children_stop_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["gun"], {"a": [picture(1)], "b": [picture(2)]})
    assert len(safety_drops(SafetyConfig(), run, everything(run), {"c": CorpusFacts(child_directed=True)})) == 2
    with pytest.raises(SafetyError, match=r"1 samples .*: 1 of a \(1 unsafe_weapons\)"):
        safety_drops(SafetyConfig(), run, everything(run), MADE_FOR_CHILDREN)


def test_what_a_filter_has_dropped_cannot_stop_the_run(run: Path) -> None:
    assert safety_drops(SafetyConfig(), run, [], MADE_FOR_CHILDREN) == {}


def test_headings_and_captions_can_be_chosen(run: Path) -> None:
    uids = everything(run)
    weapons = safety_drops(DROP.model_copy(update={"headings": ("weapons",)}), run, uids)
    assert set(reasons(run, weapons)) == {"two pistols", "gun"}
    others = safety_drops(DROP.model_copy(update={"allow": ("Wine glass", "gun")}), run, uids)
    assert set(reasons(run, others)) == {"two pistols", "beer mug"}
    assert safety_drops(SafetyConfig(on_hit="off"), run, uids, MADE_FOR_CHILDREN) == {}
    with pytest.raises(ConfigError, match=r"no heading wepons; there are weapons, alcohol"):
        safety_drops(SafetyConfig(headings=("wepons",)), run, uids)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "safety_plugins.py").write_text(
        "import numpy as np\n"
        "def magenta(pictures):\n"
        "    assert isinstance(pictures, list)\n"
        "    assert all(p.dtype == np.uint8 and p.ndim == 3 and p.shape[2] == 3 for p in pictures)\n"
        "    return [float((p == (255, 0, 255)).all(axis=2).mean()) for p in pictures]\n"
        "def wrong(pictures):\n    return [2.0] * len(pictures)\n"
        "def few(pictures):\n    return [0.5]\n"
        "def faces(rgb):\n    return [(0, 0, 9, 9, 0.9)] if (rgb == (255, 0, 255)).all(axis=2).any() else []\n"
        "def adults(rgb):\n    return [(0, 0, 9, 9, 0.1)]\n"
        "def photo(rgb):\n    return 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


MAGENTA = encoded(Image.new("RGB", (40, 40), (255, 0, 255)))


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_a_classifier_drops_a_picture_with_all_its_captions(tmp_path: Path, batch_size: int) -> None:
    captions = ["a field", "a tree", "a house", "a hat", "a cat"]
    run = make_run(tmp_path / "run", captions, {"a": [picture(1), MAGENTA, picture(2), MAGENTA, picture(3)]})
    classifier = Classifier(
        plugin="safety_plugins:magenta", threshold=0.9, reason="adult_content", batch_size=batch_size
    )
    config = SafetyConfig(classifiers=(classifier,))
    drops = safety_drops(config, run, everything(run))
    assert reasons(run, drops) == {"a tree": "unsafe_adult_content", "a hat": "unsafe_adult_content"}
    assert {drop.score for drop in drops.values()} == {1.0}
    with pytest.raises(
        SafetyError, match=rf"2 samples .*2 unsafe_adult_content.* with the picture {sha256_bytes(MAGENTA)}"
    ):
        safety_drops(config, run, everything(run), MADE_FOR_CHILDREN)
    for name in ("wrong", "few"):
        broken = SafetyConfig(classifiers=(Classifier(plugin=f"safety_plugins:{name}"),))
        with pytest.raises(ConfigError, match=rf"the plug-in safety_plugins:{name} was given 4 pictures"):
            safety_drops(broken, run, everything(run))
    with pytest.raises(ConfigError, match="the plug-in safety_plugins:gone cannot be loaded"):
        safety_sources(SafetyConfig(classifiers=(Classifier(plugin="safety_plugins:gone"),)))
    assert len(safety_sources(config)["plugins"][0]["sha256"]) == 64


def drawing(seed: int) -> Image.Image:
    numbers = np.random.default_rng(seed)
    image = Image.new("RGB", (128, 128), "white")
    for _ in range(12):
        x, y, width, height = (int(value) for value in numbers.integers(0, 100, 4))
        colour = tuple(int(value) for value in numbers.integers(0, 256, 3))
        ImageDraw.Draw(image).rectangle((x, y, x + 10 + width // 3, y + 10 + height // 3), fill=colour)
    return image


def pdq(image: Image.Image) -> str:
    """The PDQ hash of a picture, as lists have it."""
    import pdqhash

    return np.packbits(pdqhash.compute(np.asarray(image))[0].astype(np.uint8)).tobytes().hex()


def test_ten_of_ten_pictures_on_a_pdq_list_are_dropped_also_when_they_were_changed(tmp_path: Path) -> None:
    pytest.importorskip("pdqhash")
    planted = [drawing(number) for number in range(10)]
    changed = []
    for number, image in enumerate(planted):
        out = io.BytesIO()
        if number % 2:
            image.resize((96, 96)).save(out, "JPEG", quality=70)
        else:
            ImageOps.expand(image, 1, "black").save(out, "PNG")
        changed.append(out.getvalue())
    others = [encoded(drawing(number)) for number in range(100, 130)]
    captions = [f"drawing {number}" for number in range(40)]
    run = make_run(tmp_path / "run", captions, {"a": [*changed, *others]})
    path = tmp_path / "list.txt"
    path.write_text("\n".join(pdq(image) for image in planted))
    config = SafetyConfig(hash_lists=(HashList(path=path, kind="pdq"),))
    drops = safety_drops(config, run, everything(run))
    assert reasons(run, drops) == {f"drawing {number}": "unsafe_listed" for number in range(10)}
    exact = SafetyConfig(hash_lists=(HashList(path=path, kind="pdq", radius=0),))
    assert len(safety_drops(exact, run, everything(run))) < 10
    assert config.screen(child_directed=True, imagery="drawings") == Screen()


PHOTOGRAPHS = {"a": CorpusFacts(imagery="photographs")}
DRAWINGS = {"a": CorpusFacts(imagery="drawings")}
PEOPLE = ["two boys", "a tree", "the baby", "a horse", "an old man"]


def children(**values: object) -> SafetyConfig:
    return SafetyConfig(on_hit="off", real_children=RealChildrenConfig(**values))


@pytest.mark.usefixtures("plugins")
def test_photographs_of_children_are_left_out_as_far_as_captions_and_plugins_tell(tmp_path: Path) -> None:
    images = [picture(1), MAGENTA, picture(2), picture(3), picture(4)]
    run = make_run(tmp_path / "run", PEOPLE, {"a": images})
    uids = everything(run)

    def left_out(config: SafetyConfig, facts: dict[str, CorpusFacts]) -> set[str]:
        drops = safety_drops(config, run, uids, facts)
        assert {drop.step for drop in drops.values()} <= {"safety"}
        return set(reasons(run, drops))

    named = {"two boys", "the baby"}
    assert left_out(children(), PHOTOGRAPHS) == named
    assert left_out(children(), DRAWINGS) == set()
    assert left_out(children(faces="safety_plugins:faces"), PHOTOGRAPHS) == named | {"a tree"}
    assert left_out(children(faces="safety_plugins:faces", child_threshold=0.95), PHOTOGRAPHS) == named
    assert left_out(children(faces="safety_plugins:adults"), PHOTOGRAPHS) == named
    assert left_out(children(photographs="safety_plugins:photo"), {}) == named
    assert left_out(children(policy="allow", faces="safety_plugins:faces"), PHOTOGRAPHS) == set()
    assert left_out(children(policy="blur", faces="safety_plugins:faces"), PHOTOGRAPHS) == set()
    assert left_out(children(policy="illustrated_only"), PHOTOGRAPHS) == set(PEOPLE)
    assert left_out(children(policy="illustrated_only"), DRAWINGS) == set()
    assert left_out(children(policy="illustrated_only", photographs="safety_plugins:photo"), {}) == set(PEOPLE)
    with pytest.raises(ConfigError, match=r"safety_plugins:wrong returned .*; faces are a list of"):
        left_out(children(faces="safety_plugins:wrong"), PHOTOGRAPHS)


def test_blurring_needs_a_plugin_and_leaves_drawings_alone() -> None:
    with pytest.raises(pydantic.ValidationError, match="blur needs faces: module:function"):
        RealChildrenConfig(policy="blur")
    config = children(policy="blur", faces="faces:find")
    assert config.screen(child_directed=False, imagery="mixed") == Screen(blur="faces:find")
    assert config.screen(child_directed=True, imagery="drawings") == Screen()


def test_a_picture_of_two_corpora_is_treated_as_the_more_careful_card_says(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["two boys"], {"a": [picture(1)]})
    raw = {name: corpus(tmp_path, name, [row(words, picture(1))]) for name, words in (("a", "two boys"), ("b", "boys"))}
    write_catalogue(raw, run / "signals/samples.parquet", max_characters=100)
    uids = everything(run)
    write_table(run / "signals/caption.parquet", {"uid": uids, "nouns": [["boy"]] * 2, "verbs": [[]] * 2})
    facts = {"a": CorpusFacts(imagery="photographs"), "b": CorpusFacts(imagery="drawings")}
    assert set(safety_drops(SafetyConfig(), run, uids, facts)) == set(uids)


def in_language(run: Path, lang: str) -> Path:
    columns = read_columns(run / "signals/samples.parquet")
    write_table(run / "signals/samples.parquet", {**columns, "lang": [lang] * len(columns["uid"])})
    return run


def test_a_language_has_a_list_of_its_own_or_is_held_to_the_english_one_with_a_word(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uids = everything(in_language(run, "sw"))
    assert len(safety_drops(DROP, run, uids)) == 4
    assert "sw: 5 captions are held to an English list of unsafe words" in caplog.text
    caplog.clear()
    (tmp_path / "sw.yaml").write_text("toys:\n  words: [teddy bear]\nchildren:\n  words: [mtoto]\n", encoding="utf-8")
    config = DROP.model_copy(update={"word_lists": {"sw": Path("sw.yaml")}}).at(tmp_path)
    assert reasons(run, safety_drops(config, run, uids)) == {"teddy bear": "unsafe_toys"}
    assert not caplog.text
    assert "word_lists" not in safety_sources(DROP)
    before = safety_sources(config)
    (tmp_path / "sw.yaml").write_text("toys:\n  words: [teddy]\n", encoding="utf-8")
    assert safety_sources(config) != before
    (tmp_path / "sw.yaml").write_text("- teddy bear\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"word_lists: .*sw\.yaml is no list of words; write headings"):
        safety_sources(config)


def test_a_picture_is_held_to_the_english_list_by_its_english_name_too(tmp_path: Path) -> None:
    captions = ["bunduki", "kikombe cha bia", "mbwa"]
    run = in_language(make_run(tmp_path, captions, {"a": [picture(number) for number in range(3)]}), "sw")
    columns = read_columns(run / "signals/samples.parquet")
    english = dict(zip(captions, ("water pistol", "beer mug", "dog"), strict=True))
    groups = [english[caption] for caption in columns["caption"]]
    write_table(run / "signals/samples.parquet", {**columns, "group": groups})
    named = {"a": CorpusFacts(english_groups=True)}
    assert reasons(run, safety_drops(DROP, run, everything(run), named)) == {"kikombe cha bia": "unsafe_alcohol"}
    assert not safety_drops(DROP, run, everything(run), {})
    assert not safety_drops(DROP.model_copy(update={"allow": ("Beer mug",)}), run, everything(run), named)


def test_a_childs_words_are_those_of_the_language_and_its_phrases_are_whole(tmp_path: Path) -> None:
    captions = ["Il aime son chien.", "une petite fille", "une petite maison"]
    run = in_language(make_run(tmp_path, captions, {"a": [picture(number) for number in range(3)]}), "fr")
    (tmp_path / "fr.yaml").write_text("children:\n  words: [enfant, petite fille]\n", encoding="utf-8")

    def left_out(config: SafetyConfig) -> set[str]:
        return set(reasons(run, safety_drops(config, run, everything(run), PHOTOGRAPHS)))

    assert left_out(children()) == {"Il aime son chien."}  # `son` is `his`: why French wants words of its own
    assert left_out(children().model_copy(update={"word_lists": {"fr": tmp_path / "fr.yaml"}})) == {"une petite fille"}


def test_a_phrase_may_be_of_any_length_and_an_empty_one_is_none(run: Path, tmp_path: Path) -> None:
    """In scripts without spaces each letter is a word, so that a name has many."""
    columns = read_columns(run / "signals/samples.parquet")
    captions = ["这是可口可乐公司的车", "可口", "小狗", "这是一只小狗", "公司的车"]
    write_table(run / "signals/samples.parquet", {**columns, "caption": captions, "lang": ["zh"] * 5})
    (tmp_path / "zh.yaml").write_text("brands:\n  words: [可口可乐公司]\n  except: ['…']\n", encoding="utf-8")
    config = DROP.model_copy(update={"word_lists": {"zh": tmp_path / "zh.yaml"}})
    assert reasons(run, safety_drops(config, run, everything(run))) == {"这是可口可乐公司的车": "unsafe_brands"}


def test_a_list_is_for_a_language_and_not_for_a_country() -> None:
    with pytest.raises(pydantic.ValidationError, match="input_value='pt-BR'"):
        SafetyConfig(word_lists={"pt-BR": Path("pt.yaml")})
