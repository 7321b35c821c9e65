"""One command for all models: trials, controls, records and the table."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from essen.config import EvaluateConfig, HeadConfig, ModelConfig, ScoreConfig
from essen.errors import EssenError, TrialsError
from essen.evaluate.encoders import load_encoder
from essen.evaluate.evaluate import evaluate
from essen.evaluate.score import score, score_encoder
from essen.evaluate.table import table_lines
from essen.export import save_model
from essen.model import build_model
from essen.tokenizer import train_tokenizer
from pipeline import files

Paint = Callable[..., str]
NAMES = ["red", "green", "blue"]


def write(folder: Path, task: str, trials: list[dict[str, Any]]) -> Path:
    path = folder / f"{task}.json"
    path.write_text(json.dumps({"format": "essen-trials/1", "name": task, "task": task, "trials": trials}))
    return path


@pytest.fixture
def trials(tmp_path: Path, paint: Paint) -> dict[str, Path]:
    """Manifests of every task over pictures of three colours."""
    files = {c: [paint(tmp_path, c, k) for k in range(12)] for c in NAMES}
    other = {c: NAMES[(n + 1) % 3] for n, c in enumerate(NAMES)}
    rows = [(c, k) for k in range(12) for c in NAMES]
    pair = [{"id": f"{c}{k}", "images": [files[c][k], files[other[c]][k]], "texts": [f"a {c} one"], "target": 0}
            for c, k in rows]  # fmt: skip
    square = [{"id": f"w{c}{k}", "images": [files[c][k], files[other[c]][k]], "texts": [c, other[c]]} for c, k in rows]
    truth = [{"id": f"{c}{k}{said}", "images": [files[c][k]], "text": f"it is {said}", "label": said == c}
             for c, k in rows for said in (c, other[c])]  # fmt: skip
    entailment = [
        {"id": f"{c}{k}{label}", "group": f"{k}", "images": [files[c][k]], "text": text, "label": label}
        for c, k in rows
        for text, label in ((c, "entailment"), (other[c], "contradiction"))
    ]
    answer = [{"id": f"{c}{k}", "images": [files[c][k]], "text": "which?", "label": c} for c, k in rows]
    reasoning = [
        {"id": f"{c}{d}{k}", "images": [files[c][k], files[d][k]], "text": "both alike", "label": c == d}
        for k in range(12)
        for c, d in (*zip(NAMES, NAMES, strict=True), *other.items())
    ]
    written = {"choice": [*pair, *square], "truth": truth, "entailment": entailment}
    written |= {"answer": answer, "reasoning": reasoning}
    return {task: write(tmp_path, task, entries) for task, entries in written.items()}


def by_name(entry: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(found["measure"], found["scorer"]): found for found in entry["scores"]}


def test_an_encoder_that_knows_colours_is_right_and_its_controls_are_not(
    trials: dict[str, Path], colours: Any, quick: ScoreConfig
) -> None:
    config = quick.model_copy(update={"head": HeadConfig(learning_rate=5e-3, epochs=30, patience=6)})
    record = score_encoder(colours, list(trials.values()), config)
    sets = {entry["name"]: by_name(entry) for entry in record["sets"]}
    choice = sets["choice"]
    for name in ("choose_image", "winoground_text", "winoground_image", "winoground_group"):
        entry = choice[name, "towers"]
        assert entry["value"] == 1.0 and entry["n"] == 36
        assert entry["controls"]["no_picture"]["value"] == 0.0
        for side in ("pictures", "captions"):
            assert entry["controls"][f"shuffled_{side}"]["value"] < 0.75
    truth = sets["truth"]["accuracy", "towers"]
    assert truth["value"] == 1.0 and truth["controls"]["shuffled_pictures"]["value"] < 0.75
    # without a picture a text that is true as often as not says nothing
    assert truth["controls"]["no_picture"]["value"] < 0.65
    assert sets["truth"]["accuracy", "head"]["value"] > 0.9
    entailment = sets["entailment"]["accuracy", "head"]
    assert entailment["value"] > 0.9 and (entailment["unit"], entailment["units"]) == ("group", 12)
    assert entailment["gallery"] == 3 and entailment["controls"]["chance"]["value"] == 0.5
    answer = sets["answer"]["accuracy", "head"]
    assert answer["value"] == answer["controls"]["no_text"]["value"] == 1.0  # the question is always the same
    assert answer["controls"]["no_picture"]["value"] <= 0.5
    reasoning = sets["reasoning"]["accuracy", "head"]
    assert reasoning["value"] > 0.8 and reasoning["controls"]["no_picture"]["value"] < 0.65


def test_both_kinds_of_model_take_the_same_way_and_records_repeat(
    trials: dict[str, Path], own_model: Path, open_clip_model: Path, quick: ScoreConfig
) -> None:
    places = [trials["choice"], trials["truth"]]
    config = quick.model_copy(update={"head": HeadConfig(epochs=2)})
    records = [score(spec, places, config) for spec in (str(own_model), f"open_clip:{open_clip_model}")]
    own, other = ([(s["measure"], s["scorer"]) for entry in r["sets"] for s in entry["scores"]] for r in records)
    assert set(other) < set(own) and {scorer for _, scorer in own} == {"towers", "fusion", "head"}
    assert [r["model"]["kind"] for r in records] == ["essen", "open_clip"]
    assert [r["model"]["name"] for r in records] == ["tiny", "open_clip:clip"]
    assert all(len(r["model"]["weights_sha256"]) == 64 for r in records)
    assert records[0]["sets"][0]["sha256"] == records[1]["sets"][0]["sha256"]
    assert str(trials["choice"].parent) not in json.dumps(records)
    assert score(str(own_model), places, config) == records[0]
    for entry in (e for r in records for s in r["sets"] for e in s["scores"]):
        assert entry["interval"][0] <= entry["value"] <= entry["interval"][1]
        assert {"no_picture", "shuffled_pictures", "shuffled_captions", "chance"} <= set(entry["controls"])


def test_a_teacher_of_heads_is_named_by_its_weights_and_counts(
    trials: dict[str, Path], own_model: Path, open_clip_model: Path, quick: ScoreConfig
) -> None:
    head = HeadConfig(epochs=2, learning_rate=0.01)
    plain, taught = (
        score(f"open_clip:{open_clip_model}", [trials["truth"]], quick.model_copy(update={"head": one}))
        for one in (head, head.model_copy(update={"teacher": str(own_model)}))
    )
    sha256 = files.sha256_file(own_model / "model.safetensors")
    assert taught.pop("teacher") == {"name": "tiny", "kind": "essen", "weights_sha256": sha256}
    assert str(own_model) not in json.dumps(taught) and "teacher" not in json.dumps(plain)
    scores = [{s["scorer"]: s for s in record["sets"][0]["scores"]} for record in (plain, taught)]
    assert scores[0]["towers"] == scores[1]["towers"] and scores[0]["head"].keys() == scores[1]["head"].keys()
    assert plain["config"] == taught["config"]


def test_staged_evaluation_sets_are_scored_as_retrieval(
    small_stages: Path, own_model: Path, open_clip_model: Path, quick: ScoreConfig
) -> None:
    for spec in (str(own_model), f"open_clip:{open_clip_model}"):
        [entry] = score(spec, [small_stages], quick)["sets"]
        found = by_name(entry)
        assert (entry["name"], entry["pictures"], entry["captions"]) == ("test", 24, 24)
        assert found["text_to_image_R@5", "towers"]["controls"]["chance"]["value"] == pytest.approx(5 / 24)
        assert (("text_to_image_R@1", "fusion") in found) == (spec == str(own_model))


def test_the_command_and_the_step_of_a_run_give_the_same_recall(
    small_stages: Path, tiny_model: ModelConfig, tmp_path: Path, quick: ScoreConfig
) -> None:
    smaller = tiny_model.model_copy(update={"image_size": 24})  # staged pictures have 32 pixels: both ways must scale
    tokenizer = train_tokenizer(["red circle", "blue square", "green line"], 100)
    save_model(build_model(smaller, tokenizer.vocab_size, seed=1), tokenizer, smaller, tmp_path / "model")
    config = EvaluateConfig(batch_size=16, rerank_top=3, resamples=200, precision="fp32")
    evaluate(config, small_stages, tmp_path / "model", tmp_path)
    [entry] = score(str(tmp_path / "model"), [small_stages], quick.model_copy(update={"rerank_top": 3}))["sets"]
    found = by_name(entry)
    for way in files.read_json(tmp_path / "reports/evaluation.json")["sets"][0]["directions"]:
        rows = {row["row"]: row["recall"] for row in way["rows"]}
        for k in ("1", "5", "10"):
            for row, scorer in (("trained", "towers"), ("reranked", "fusion")):
                assert found[f"{way['direction']}_R@{k}", scorer]["value"] == rows[row][k]["value"]


def test_scores_do_not_depend_on_the_batches(trials: dict[str, Path], own_model: Path, quick: ScoreConfig) -> None:
    config = quick.model_copy(update={"heads": False})
    whole = config.model_copy(update={"batch_size": 999})
    assert score(str(own_model), [trials["choice"]], config) == score(str(own_model), [trials["choice"]], whole)


def test_open_clip_by_name_has_random_weights_of_the_seed_or_those_of_a_file(
    tmp_path: Path, quick: ScoreConfig, open_clip_model: Path
) -> None:
    import open_clip
    import torch

    # Another seed than the one with which the folder's weights were drawn.
    shape = json.loads((open_clip_model / "open_clip_config.json").read_text())["model_cfg"]
    (tmp_path / "tiny-test.json").write_text(json.dumps(shape))
    open_clip.add_model_config(tmp_path / "tiny-test.json")
    weights = open_clip_model / "open_clip_model.safetensors"
    specs = ["open_clip:tiny-test", "open_clip:tiny-test", f"open_clip:tiny-test@{weights}"]
    other = quick.model_copy(update={"seed": 5})
    encoders = [load_encoder(spec, other) for spec in [*specs, f"open_clip:{open_clip_model}"]]
    vectors = [encoder.encode_texts(["a red ball"]).embedding for encoder in encoders]
    assert torch.equal(vectors[0], vectors[1]) and not torch.equal(vectors[0], vectors[2])
    assert torch.equal(vectors[2], vectors[3])
    assert [encoder.name for encoder in encoders[1:3]] == [
        "open_clip:tiny-test",
        "open_clip:tiny-test@open_clip_model.safetensors",
    ]
    assert encoders[0].weights_sha256 == "" and encoders[2].weights_sha256 == encoders[3].weights_sha256 != ""


@pytest.mark.parametrize(
    ("spec", "said"),
    [("nowhere", "no folder of a trained model"), ("open_clip:none-such", "cannot be loaded"), (".", "config.json")],
)
def test_a_model_that_cannot_be_had_is_named(spec: str, said: str, quick: ScoreConfig) -> None:
    with pytest.raises(EssenError, match=said) as caught:
        load_encoder(spec, quick)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


def test_pictures_that_cannot_be_had_are_named(trials: dict[str, Path], colours: Any, quick: ScoreConfig) -> None:
    (trials["choice"].parent / "red-3.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(TrialsError, match=r"red-3.png .*(decoded|whole)"):
        score_encoder(colours, [trials["choice"]], quick)
    (trials["choice"].parent / "red-3.png").unlink()
    with pytest.raises(TrialsError, match=r"red-3.png cannot be read"):
        score_encoder(colours, [trials["choice"]], quick)
    with pytest.raises(TrialsError, match="does not exist"):
        score_encoder(colours, [Path("nowhere.json")], quick)


def test_the_table_shows_every_score_beside_its_controls(
    trials: dict[str, Path], colours: Any, quick: ScoreConfig
) -> None:
    lines = list(table_lines(score_encoder(colours, [trials["choice"]], quick)))
    assert lines[0] == "colours: 0 parameters, 8 px, fp32"
    assert lines[2] == "choice (choice): 36 pictures, 6 texts"
    assert "shuffled captions" in lines[3] and "no text" not in lines[3]
    row = next(line.split() for line in lines if "winoground_group" in line)
    assert row[:6] == ["winoground_group", "towers", "36", "100.0", "[100.0,", "100.0]"] and row[-1] == "16.7"


def test_a_template_needs_a_place_for_the_name() -> None:
    with pytest.raises(ValueError, match=r"has no \{c\}"):
        ScoreConfig(templates=("a photo",))
