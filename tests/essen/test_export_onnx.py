"""ONNX files, what they cost, the card and the record, of a model in the folder of a run."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from exported import KINDS, save_config, save_kind

from essen.config import EvaluateConfig, ModelConfig
from essen.errors import EssenError
from essen.evaluate.evaluate import evaluate
from essen.export import load_model
from essen.export.export import export_model
from essen.export.latency import form_lines, measure_forms
from essen.export.onnx_files import quantise, write_onnx
from essen.export.onnx_model import OnnxModel
from pipeline import files

CONFIG = EvaluateConfig(resamples=200, batch_size=16, precision="fp32")


@pytest.fixture(scope="module", autouse=True)
def single_thread() -> Iterator[None]:
    """One thread of torch: models are tiny, and on a busy machine several only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def run(small_stages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with stages, a model with random weights, and its scores."""
    folder = tmp_path_factory.mktemp("run")
    shutil.copytree(small_stages, folder / "stages")
    save_kind("convolutions", folder / "models/tiny")
    evaluate(CONFIG, folder / "stages", folder / "models/tiny", folder)
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    target = tmp_path_factory.mktemp("exported") / "tiny"
    return target, export_model(run / "models/tiny", target, licence="CC-BY-4.0", config=CONFIG)


@torch.inference_mode()
@pytest.mark.slow
def test_the_files_give_the_models_numbers_for_any_batch_and_length(exported: tuple[Path, dict[str, Any]]) -> None:
    target, record = exported
    model, tokenizer = load_model(target)
    found = OnnxModel(target / "onnx", model.config, record["onnx"]["logit_scale"], threads=1)
    for batch in range(1, 9):
        pixels = torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8)
        for caption in ("red", "red dog and a blue cat that runs"):
            ids, mask = tokenizer.encode(["red", caption, "cat"][:batch] + ["dog"] * (batch - 3), 8)
            one = model.encode_images(pixels), model.encode_texts(ids, mask)
            two = found.encode_images(pixels), found.encode_texts(ids, mask)
            torch.testing.assert_close(two[0].embedding, one[0].embedding, atol=1e-6, rtol=0)
            torch.testing.assert_close(two[1].embedding, one[1].embedding, atol=1e-6, rtol=0)
            torch.testing.assert_close(found.match(*two), model.match(*one), atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.slow
def test_a_joint_fusion_gives_the_models_numbers(tmp_path: Path) -> None:
    save_kind("joint", tmp_path / "model")
    model, tokenizer = load_model(tmp_path / "model")
    paths = write_onnx(model, tmp_path / "onnx")
    assert [path.stem for path in paths] == ["image", "text", "fusion"]
    found = OnnxModel(tmp_path / "onnx", model.config, 0.0, threads=1)
    for batch in (1, 3):
        pixels = torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8)
        ids, mask = tokenizer.encode(["red", "red dog and a blue cat", "cat"][:batch], 8)
        pair = model.encode_images(pixels), model.encode_texts(ids, mask)
        torch.testing.assert_close(found.match(*pair), model.match(*pair), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_the_files_say_what_they_take_and_nothing_of_the_machine(
    exported: tuple[Path, dict[str, Any]], run: Path
) -> None:
    target, _ = exported
    shapes = {}
    for path in sorted((target / "onnx").iterdir()):
        proto = onnx.load(path)
        assert {entry.domain: entry.version for entry in proto.opset_import}[""] == 20
        text = path.read_bytes()
        assert not any(word in text for word in (b"/work", b"site-packages", b"stack_trace", str(run).encode()))
        for value in (*proto.graph.input, *proto.graph.output):
            sizes = [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
            shapes[path.stem, value.name] = sizes
    assert shapes["image", "pixel_values"] == ["batch", 3, 32, 32] and shapes["image", "image_embeds"] == ["batch", 32]
    assert shapes["text", "input_ids"] == ["batch", "length"] and shapes["text_int8", "text_embeds"] == ["batch", 32]
    assert shapes["fusion_int8", "match_logits"] == ["batch"]


@pytest.mark.slow
def test_int8_is_smaller_and_its_cost_is_measured_on_the_held_out_set(exported: tuple[Path, dict[str, Any]]) -> None:
    target, record = exported
    int8 = record["onnx"]["int8"]
    assert int8["bytes"] < record["onnx"]["bytes"] and 0 < max(int8["difference"].values()) < 0.1
    rows = {(row["set"], row["direction"], row["scorer"]): row for row in int8["recall"]}
    assert len(rows) == 4 and rows["test", "text_to_image", "towers"]["gallery"] == 24
    for row in rows.values():
        low, high = row["interval"]
        assert low <= row["difference"] <= high
        assert row["quantised"] - row["value"] == pytest.approx(row["difference"])
    kept = OnnxModel(target / "onnx", KINDS["convolutions"], 0.0, suffix="_int8")
    assert sum(path.stat().st_size for path in kept.paths) == int8["bytes"]


@pytest.mark.slow
def test_quantising_again_gives_the_same_bytes(exported: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    target, _ = exported
    for name in ("image", "text", "fusion"):
        quantise(target / f"onnx/{name}.onnx", tmp_path / "again.onnx")
        assert (tmp_path / "again.onnx").read_bytes() == (target / f"onnx/{name}_int8.onnx").read_bytes()


@pytest.mark.slow
def test_the_record_names_every_file(exported: tuple[Path, dict[str, Any]], run: Path) -> None:
    target, record = exported
    assert files.read_json(target / "export.json") == record == json.loads(json.dumps(record))
    listed = {entry["file"]: entry["sha256"] for entry in record["files"]}
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert found == {*listed, "export.json"}
    assert all(files.sha256_file(target / name) == digest for name, digest in listed.items())
    assert (target / "model.safetensors").read_bytes() == (run / "models/tiny/model.safetensors").read_bytes()
    assert max(record["transformers"]["difference"].values()) < 1e-6
    assert max(record["onnx"]["difference"].values()) < 1e-5


@pytest.mark.slow
def test_the_card_says_what_the_model_is_made_of(exported: tuple[Path, dict[str, Any]], run: Path) -> None:
    target, record = exported
    card = (target / "README.md").read_text()
    scores = files.read_json(run / "reports/evaluation.json")
    trained = scores["sets"][0]["directions"][0]["rows"][0]["recall"]["10"]
    assert card.startswith("---\n") and "license: cc-by-4.0" in card and record["stages"] in card
    assert f"{100 * trained['value']:.1f} [{100 * trained['interval'][0]:.1f}," in card
    parts = [int(number.replace(",", "")) for number in re.findall(r"^\| [a-z (),]+ \| ([\d,]+) \|$", card, re.M)]
    model, _ = load_model(target)
    assert sum(parts[:5]) == sum(parameter.numel() for parameter in model.parameters())
    assert "MIT 72" in card and "## Limits" in card


@pytest.mark.slow
def test_the_table_has_a_row_for_each_form(exported: tuple[Path, dict[str, Any]]) -> None:
    target, record = exported
    forms = measure_forms(target, rounds=3)
    assert [form.name for form in forms] == ["PyTorch float32", "PyTorch bf16", "ONNX float32", "ONNX int8"]
    assert forms[3].bytes == record["onnx"]["int8"]["bytes"] and all(form.latency.picture > 0 for form in forms)
    assert len(form_lines(forms)) == 6


def test_without_a_run_the_card_leaves_data_and_scores_open(tmp_path: Path) -> None:
    save_kind("convolutions", tmp_path / "model")
    record = export_model(tmp_path / "model", tmp_path / "out", ["transformers"])
    card = (tmp_path / "out/README.md").read_text()
    assert "onnx" not in record and record["stages"] is None and not (tmp_path / "out/onnx").exists()
    assert card.count("[More Information Needed]") == 3 and "license:" not in card
    again = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    export_model(tmp_path / "model", tmp_path / "out", ["transformers"])
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == again


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (KINDS["convolutions"], "its vision and text part is this project's own"),
        (KINDS["no fusion"], "its vision part"),
        (KINDS["pretrained"], "no norm after a backbone's pool"),
    ],
)
def test_open_clip_is_refused_with_the_reason(config: ModelConfig, reason: str, tmp_path: Path) -> None:
    save_config(config, tmp_path / "model")
    with pytest.raises(EssenError, match=reason) as error:
        export_model(tmp_path / "model", tmp_path / "out", ["open_clip"])
    assert "export to transformers or onnx" in str(error.value) and not (tmp_path / "out").exists()


def test_a_target_that_is_something_else_is_refused(tmp_path: Path) -> None:
    save_kind("convolutions", tmp_path / "model")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    for target, reason in ((tmp_path / "out", "holds something else"), (tmp_path / "model", "is the model itself")):
        with pytest.raises(EssenError, match=reason):
            export_model(tmp_path / "model", target)
    with pytest.raises(EssenError, match="there is no format coreml; the formats are transformers, onnx, open_clip"):
        export_model(tmp_path / "model", tmp_path / "new", ["coreml"])
    assert (tmp_path / "out/mine.txt").read_text() == "mine" and not (tmp_path / "new").exists()
