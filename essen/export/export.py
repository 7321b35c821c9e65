"""Export: a model's folder in the forms that others load, each compared with the model, and a card.

What is written below the target::

    README.md                     the card
    config.json model.safetensors tokenizer.json       the model; `essen.export.load_model` reads them
    modeling_essen.py image_processing_essen.py *_config.json       Transformers
    onnx/{image,text,fusion}.onnx  onnx/*_int8.onnx     ONNX
    checkpoints/chck_…/         Transformers, of each model that training has kept; see `essen.snapshots`
    export.json                   the record, written last

The record, format ``essen-export/1``::

    {"format", "model": name, "weights_sha256", "stages": digest | null,
     "transformers": {"difference": {"image", "text", "match"}},
     "onnx": {"opset", "logit_scale", "bytes", "difference",
       "int8": {"bytes", "difference", "recall": rows of `essen.export.loss.recall_loss`}},
     "checkpoints": [name], where there are any,
     "files": [{"file", "sha256", "bytes"}]}
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from essen.config import EvaluateConfig
from essen.errors import EssenError
from essen.export.folder import load_model
from essen.export.onnx_files import OPSET, quantise, require_onnx, write_onnx
from essen.export.parity import TOLERANCE, largest_difference
from essen.model import Essen
from essen.snapshots import CHECKPOINTS, snapshots_of
from essen.tokenizer import CaptionTokenizer
from pipeline import files
from pipeline.shards.read import open_stages

FORMAT = "essen-export/1"
FORMATS = ("transformers", "onnx", "open_clip")
USUAL = ("transformers", "onnx")


def export_model(
    folder: Path,
    target: Path,
    formats: Sequence[str] = USUAL,
    *,
    licence: str = "",
    config: EvaluateConfig | None = None,
) -> dict[str, Any]:
    """Write a trained model in other forms; equal models give equal bytes.

    Where the folder lies below the ``models`` of a run, the card speaks of that run's data and scores, and what int8
    costs is measured on its held-out sets.

    Args:
        folder: of the model.
        target: folder to write: new, empty, or exported before.
        formats: of `FORMATS`; what Transformers needs is written in any case.
        licence: of the weights, for the card.
        config: how R@1 is measured.

    Returns:
        The record; see the module's text.

    Raises:
        EssenError: the model cannot be read, the target is something else, a form is not possible, or its numbers are
            more than `TOLERANCE` from the model's.
    """
    _check(folder, target, formats)
    model, tokenizer = load_model(folder)
    if "open_clip" in formats:
        raise EssenError(f"{folder}: {_why_not_open_clip(model)}; export to {' or '.join(USUAL)}")
    run = _run_of(folder)
    weights = folder / "model.safetensors"
    record: dict[str, Any] = {
        "format": FORMAT,
        "model": model.config.name,
        "weights_sha256": files.sha256_file(weights),
        "stages": open_stages(run / "stages").digest if run else None,
    }
    for left in ("export.json", "onnx", CHECKPOINTS):  # of an earlier export
        files.remove(target / left)
    from essen.export.hub import write_hub_folder

    paths = write_hub_folder(model, tokenizer, weights, target)
    record["transformers"] = _compared_hub(model, target)
    if kept := snapshots_of(folder):
        record["checkpoints"] = [path.name for path in kept]
        paths += [file for path in kept for file in _write_snapshot(path, target / CHECKPOINTS / path.name)]
    if "onnx" in formats:
        record["onnx"], written = _write_onnx(model, tokenizer, target, run, config or EvaluateConfig())
        paths += written
    from essen.export.card import model_card

    paths.append(target / "README.md")
    files.write_bytes(paths[-1], model_card(model, record, run, licence).encode())
    record["files"] = [
        {"file": path.relative_to(target).as_posix(), "sha256": files.sha256_file(path), "bytes": path.stat().st_size}
        for path in sorted(paths)
    ]
    files.write_json(target / "export.json", record)
    return record


def _check(folder: Path, target: Path, formats: Sequence[str]) -> None:
    if unknown := [name for name in formats if name not in FORMATS]:
        raise EssenError(f"there is no format {unknown[0]}; the formats are {', '.join(FORMATS)}")
    if target.exists() and not target.is_dir():
        raise EssenError(f"{target} is a file; name a folder that is new, empty or exported before")
    if target.is_dir() and target.resolve() == folder.resolve():
        raise EssenError(f"{target} is the model itself; name another folder")
    exported = (target / "export.json").is_file() or (target / "modeling_essen.py").is_file()
    if target.is_dir() and any(target.iterdir()) and not exported:
        raise EssenError(f"{target} holds something else; name a folder that is new, empty or exported before")
    if "onnx" in formats:
        require_onnx()


def _run_of(folder: Path) -> Path | None:
    """Return the run directory below whose ``models`` a folder lies, itself or as a checkpoint, if it does."""
    place = folder.resolve().parent
    if place.name == CHECKPOINTS:
        place = place.parent.parent
    run = place.parent
    return run if place.name == "models" and (run / "stages/manifest.json").is_file() else None


def _compared_hub(model: Essen, target: Path) -> dict[str, Any]:
    """Compare the model with what Transformers loads from the folder, by the code of which the folder has a copy."""
    from transformers.utils import logging

    from essen.export.modeling import EssenModel

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        loaded = EssenModel.from_pretrained(target, local_files_only=True)
    finally:
        if bars:
            logging.enable_progress_bar()
    difference = largest_difference(model, loaded.essen, model.vocab_size)
    _check_close("transformers", difference)
    return {"difference": difference}


def _write_snapshot(folder: Path, target: Path) -> list[Path]:
    """Write a model that training has kept on its way in the form of Transformers."""
    from essen.export.hub import write_hub_folder

    return write_hub_folder(*load_model(folder), folder / "model.safetensors", target)


def _write_onnx(
    model: Essen, tokenizer: CaptionTokenizer, target: Path, run: Path | None, config: EvaluateConfig
) -> tuple[dict[str, Any], list[Path]]:
    from essen.export.loss import recall_loss
    from essen.export.onnx_model import OnnxModel

    folder, scale = target / "onnx", model.logit_scale.item()
    exact = write_onnx(model, folder)
    small = [path.with_name(f"{path.stem}_int8.onnx") for path in exact]
    for source, place in zip(exact, small, strict=True):
        quantise(source, place)
    threads = torch.get_num_threads()
    difference = largest_difference(model, OnnxModel(folder, model.config, scale, threads=threads), model.vocab_size)
    _check_close("onnx", difference)
    quantised = OnnxModel(folder, model.config, scale, suffix="_int8", threads=threads)
    has_sets = run is not None and bool(open_stages(run / "stages").evaluation)
    int8 = {
        "bytes": sum(path.stat().st_size for path in small),
        "difference": largest_difference(model, quantised, model.vocab_size),
        "recall": recall_loss(model, quantised, tokenizer, run / "stages", config) if run and has_sets else [],
    }
    size = sum(path.stat().st_size for path in exact)
    about = {"opset": OPSET, "logit_scale": scale, "bytes": size, "difference": difference, "int8": int8}
    return about, [*exact, *small]


def _check_close(name: str, difference: dict[str, float]) -> None:
    if not max(difference.values()) <= TOLERANCE:
        worst = max(difference, key=lambda part: difference[part])
        raise EssenError(
            f"{name}: the {worst} part is {difference[worst]:.1e} from the model, more than {TOLERANCE:g}; nothing of "
            "it should be used"
        )


def _why_not_open_clip(model: Essen) -> str:
    """Return what of a model open_clip has no place for.

    Its configurable model projects the text of transformers without a bias, and has no norm between the pool of a
    backbone and its projection; and there is no fusion.
    """
    kinds = {"vision": model.config.vision.kind, "text": model.config.text.kind}
    if kinds == {"vision": "timm", "text": "transformers"}:
        return "open_clip has no norm after a backbone's pool, no bias behind a text encoder, and no fusion"
    own = " and ".join(part for part, kind in kinds.items() if kind not in ("timm", "transformers"))
    return f"open_clip cannot build this model: its {own} part is this project's own"
