"""Size and latency of the forms of a model: PyTorch in float32 and bf16, ONNX in float32 and int8."""

import itertools
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from essen.computing import threads
from essen.config import ModelConfig
from essen.evaluate.encoders import autocast
from essen.export.folder import load_model
from essen.export.onnx_model import OnnxModel
from essen.export.parity import PairModel
from essen.overview import PIECES, Latency


@dataclass(frozen=True, kw_only=True)
class Form:
    """A row of the table.

    Attributes:
        name: of the form.
        bytes: of its weights' files.
        latency: median milliseconds at batch 1 on one thread.
    """

    name: str
    bytes: int
    latency: Latency


def measure_forms(folder: Path, rounds: int = 50) -> list[Form]:
    """Return size and latency of each form; every round times all of them, so that other work meets them alike.

    Args:
        folder: an exported one, with ONNX files.
        rounds: of which the median is taken.

    Raises:
        EssenError: the folder holds no model, or an ONNX file is missing.
    """
    model = load_model(folder)[0].to(memory_format=torch.channels_last)
    scale, size = model.logit_scale.item(), (folder / "model.safetensors").stat().st_size
    forms: dict[str, tuple[PairModel, bool, int]] = {
        "PyTorch float32": (model, False, size),
        "PyTorch bf16": (model, True, size),
    }
    for name, suffix in {"ONNX float32": "", "ONNX int8": "_int8"}.items():
        part = OnnxModel(folder / "onnx", model.config, scale, suffix=suffix, threads=1)
        forms[name] = (part, False, sum(path.stat().st_size for path in part.paths))
    with threads(1):
        times = _times({name: form[:2] for name, form in forms.items()}, model.config, model.vocab_size, rounds)
    return [Form(name=name, bytes=forms[name][2], latency=latency) for name, latency in times.items()]


def form_lines(forms: list[Form]) -> list[str]:
    """Return the table as lines of Markdown."""
    lines = ["| form | weights, MB | picture, ms | caption, ms | match, ms |", "| --- | ---: | ---: | ---: | ---: |"]
    for form in forms:
        found = form.latency
        cells = [f"{form.bytes / 1e6:.2f}", *(f"{each:.2f}" for each in (found.picture, found.caption, found.match))]
        lines.append(f"| {form.name} | {' | '.join(cells)} |")
    return lines


@torch.inference_mode()
def _times(
    forms: dict[str, tuple[PairModel, bool]], config: ModelConfig, vocab_size: int, rounds: int
) -> dict[str, Latency]:
    pixels = torch.zeros(1, 3, config.image_size, config.image_size, dtype=torch.uint8)
    length = min(PIECES, config.text.max_length)
    ids, mask = torch.full((1, length), vocab_size - 1), torch.ones(1, length, dtype=torch.bool)
    times: dict[str, list[list[float]]] = {name: [] for name in forms}
    for _ in range(rounds + 2):
        for name, (form, bf16) in forms.items():
            with autocast(bf16):
                marks = [time.perf_counter()]
                images = form.encode_images(pixels)
                marks.append(time.perf_counter())
                texts = form.encode_texts(ids, mask)
                marks.append(time.perf_counter())
                form.match(images, texts)
                marks.append(time.perf_counter())
            times[name].append([1000 * (end - start) for start, end in itertools.pairwise(marks)])
    # The first two rounds warm up.
    medians = {
        name: [statistics.median(column) for column in zip(*rows[2:], strict=True)] for name, rows in times.items()
    }
    return {name: Latency(picture=p, caption=c, match=m) for name, (p, c, m) in medians.items()}
