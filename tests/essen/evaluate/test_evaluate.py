"""Evaluation of a real model on real staged shards: what stands in the record and what must hold of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from essen.config import EvaluateConfig, ModelConfig, TrainConfig
from essen.errors import EssenError, StagesError
from essen.evaluate.encoders import EssenEncoder
from essen.evaluate.evaluate import evaluate
from essen.evaluate.examples import SHOWN
from essen.evaluate.held_out import read_held_out
from essen.evaluate.recall import KS
from essen.evaluate.retrieval import chance_recall
from essen.export import load_model, save_model
from essen.model import build_model
from essen.tokenizer import train_tokenizer
from essen.train import train
from pipeline import files
from pipeline.shards.read import open_stages
from pipeline.shards.stage import write_manifest

CONFIG = EvaluateConfig(batch_size=16, rerank_top=3, resamples=200, precision="fp32")


@pytest.fixture(scope="module")
def trained(
    small_stages: Path, tiny_model: ModelConfig, tiny_training: TrainConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("trained")
    train(tiny_model, tiny_training.model_copy(update={"steps": 60}), small_stages, out)
    return out / "models/tiny"


@pytest.fixture(scope="module")
def record(small_stages: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("record")
    evaluate(CONFIG, small_stages, trained, out)
    return dict(files.read_json(out / "reports/evaluation.json"))


def rows(record: dict[str, Any], direction: str) -> dict[str, Any]:
    [way] = [way for way in record["sets"][0]["directions"] if way["direction"] == direction]
    return {row["row"]: row for row in way["rows"]}


def test_the_record_names_what_was_scored(record: dict[str, Any], small_stages: Path, trained: Path) -> None:
    assert record["format"] == "essen-evaluation/1"
    assert record["stages"] == open_stages(small_stages).digest
    assert record["model"]["weights_sha256"] == files.sha256_file(trained / "model.safetensors")
    assert (record["seed"], record["resamples"], record["level"]) == (0, 200, 0.95)
    [entry] = record["sets"]
    assert (entry["name"], entry["samples"], entry["images"], entry["captions"]) == ("test", 24, 24, 24)
    for way in entry["directions"]:
        assert (way["queries"], way["gallery"], way["unit"], way["units"]) == (24, 24, "item", 24)


@pytest.mark.parametrize("direction", ["text_to_image", "image_to_text"])
def test_every_score_stands_beside_its_controls(record: dict[str, Any], direction: str) -> None:
    found = rows(record, direction)
    assert set(found) == {"trained", "reranked", "untrained", "shuffled", "chance"}
    for k in KS:
        assert found["chance"]["recall"][str(k)]["value"] == pytest.approx(k / 24)
    for name, row in found.items():
        values = [row["recall"][str(k)]["value"] for k in KS]
        assert values == sorted(values)
        for k in KS:
            interval = row["recall"][str(k)]["interval"]
            if name == "chance":
                assert interval is None
            else:
                assert interval[0] <= row["recall"][str(k)]["value"] <= interval[1]
    # re-ranking permutes the first three, so what is within the first five stays there
    assert found["reranked"]["recall"]["5"] == found["trained"]["recall"]["5"]


def test_training_lifts_the_scores_above_the_controls(record: dict[str, Any]) -> None:
    found = rows(record, "image_to_text")
    assert found["trained"]["recall"]["5"]["value"] > found["untrained"]["recall"]["5"]["value"]
    assert found["trained"]["recall"]["5"]["value"] > found["chance"]["recall"]["5"]["value"]


def test_examples_agree_with_the_staged_set(record: dict[str, Any], small_stages: Path) -> None:
    table = open_stages(small_stages).evaluation["test"].table
    caption_of = dict(zip(table.column("uid").to_pylist(), table.column("caption").to_pylist(), strict=True))
    for direction, query, item in (("text_to_image", "caption", "uid"), ("image_to_text", "uid", "caption")):
        examples = [entry for entry in record["sets"][0]["examples"] if entry["direction"] == direction]
        assert 0 < len(examples) <= CONFIG.examples
        assert {example["rank"] == 1 for example in examples} == {True, False}
        for example in examples:
            assert len(example["results"]) == SHOWN
            said = caption_of.get(example[query], example[query])
            marks = [caption_of.get(result[item], result[item]) == said for result in example["results"]]
            assert marks == [result["correct"] for result in example["results"]]
            assert (example["rank"] == 1) == marks[0]


def test_the_correct_answer_stands_beside_the_wrong_ones(record: dict[str, Any]) -> None:
    """Where it is among the first, it is the first correct one of these; where it is not, they all score as much."""
    for example in record["sets"][0]["examples"]:
        item = "uid" if example["direction"] == "text_to_image" else "caption"
        correct = [result for result in example["results"] if result["correct"]]
        if correct:
            assert example["answer"][item] == correct[0][item]
        else:
            assert example["rank"] > SHOWN
            assert all(result["score"] >= example["answer"]["score"] for result in example["results"])


def test_the_bytes_repeat_and_scores_do_not_depend_on_the_batches(
    record: dict[str, Any], small_stages: Path, trained: Path, tmp_path: Path
) -> None:
    written = []
    for size in (16, 24):
        config = CONFIG.model_copy(update={"batch_size": size})
        evaluate(config, small_stages, trained, tmp_path)
        written.append(files.read_json(tmp_path / "reports/evaluation.json"))
    assert written[0] == record
    assert rows(written[1], "text_to_image")["trained"] == rows(record, "text_to_image")["trained"]


def test_an_untrained_model_scores_as_its_own_control(
    small_stages: Path, tiny_model: ModelConfig, tmp_path: Path
) -> None:
    tokenizer = train_tokenizer(["red circle", "blue square", "green line"], 100)
    save_model(build_model(tiny_model, tokenizer.vocab_size, seed=7), tokenizer, tiny_model, tmp_path / "model")
    config = CONFIG.model_copy(update={"initial_seed": 7, "rerank_top": 0})
    evaluate(config, small_stages, tmp_path / "model", tmp_path)
    found = rows(files.read_json(tmp_path / "reports/evaluation.json"), "text_to_image")
    assert "reranked" not in found
    assert found["trained"]["recall"] == found["untrained"]["recall"]


def test_equal_captions_are_one_query_and_whole_groups_are_drawn(
    new_stages: Callable[..., Path], drawing: Callable[[str], bytes], trained: Path, tmp_path: Path
) -> None:
    colours = ["red", "green", "blue", "black"]
    pairs = [("A square.", drawing(colour)) for colour in colours] + [("a square.", drawing("pink"))]
    pairs += [("something else", drawing(colour)) for colour in ("orange", "purple")]
    evaluate(CONFIG, new_stages(tmp_path / "stages", [pairs], pairs), trained, tmp_path)
    [entry] = files.read_json(tmp_path / "reports/evaluation.json")["sets"]
    by_text, by_image = entry["directions"]
    assert (entry["samples"], entry["images"], entry["captions"]) == (7, 7, 2)
    assert (by_text["queries"], by_text["gallery"], by_text["correct_per_query"]) == (2, 7, 3.5)
    # the fixture's group is the caption as written: three of them for seven pictures
    assert (by_image["unit"], by_image["units"]) == ("group", 3)
    chance = {row["row"]: row for row in by_text["rows"]}["chance"]["recall"]["1"]["value"]
    assert chance == pytest.approx(chance_recall(np.array([5, 2]), 7, 1))


def test_matching_scores_do_not_depend_on_padding_or_batches(small_stages: Path, trained: Path) -> None:
    model, tokenizer = load_model(trained)
    held_out = read_held_out(open_stages(small_stages).evaluation["test"], model.config.image_size)
    encoder = EssenEncoder(model, tokenizer, batch_size=7, bf16=False)
    texts, pictures = encoder.encode_texts(held_out.captions), encoder.encode_images(held_out.pixels)
    rng = np.random.default_rng(0)
    captions, images = rng.integers(0, 24, 50), rng.integers(0, 24, 50)
    together = encoder.match(texts, pictures, captions, images)
    with torch.inference_mode():
        for pair in range(0, 50, 7):
            text = tokenizer.encode([held_out.captions[captions[pair]]], model.config.text.max_length)
            picture = model.encode_images(held_out.pixels[[images[pair]]])
            alone = model.match(picture, model.encode_texts(*text))
            assert together[pair] == pytest.approx(alone.item(), abs=1e-4)


def test_stages_without_an_evaluation_set_are_named(small_stages: Path, trained: Path, tmp_path: Path) -> None:
    manifest = open_stages(small_stages).manifest
    (tmp_path / "stages").mkdir()
    for entry in manifest["stages"]:
        (tmp_path / "stages" / entry["path"]).symlink_to(small_stages / entry["path"])
    write_manifest(tmp_path / "stages", 32, manifest["order"], manifest["stages"], [])
    with pytest.raises(StagesError, match="holds no evaluation set") as caught:
        evaluate(CONFIG, tmp_path / "stages", trained, tmp_path)
    assert caught.value.exit_code == 3


def test_a_missing_model_is_named(small_stages: Path, tmp_path: Path) -> None:
    with pytest.raises(EssenError, match="nowhere"):
        evaluate(CONFIG, small_stages, tmp_path / "nowhere", tmp_path)
