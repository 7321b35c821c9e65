"""The table of the named configurations: parameters, FLOPs and, if asked for, measured latency on this processor."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from essen.config import AnyFusion, BackboneConfig, ModelConfig, PretrainedTextConfig, TextConfig
from essen.counts import count_model
from essen.presets import PRESETS

PIECES = 16  # word pieces of the caption that is counted and timed; a sentence of a picture book has about so many


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Median milliseconds at batch 1 on one thread: a picture, a caption, and the match of two that are encoded."""

    picture: float
    caption: float
    match: float


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of the table.

    Attributes:
        name: of the configuration.
        image_size: side of its pictures, pixels.
        cells: visual tokens.
        vision, text, fusion: what these parts are.
        parameters: of all that a pair needs.
        words: of the head of masked words, which only training needs.
        towers_flops, match_flops: of a pair: both towers with projections, and fusion with heads.
        latency: measured, or None.
    """

    name: str
    image_size: int
    vision: str
    text: str
    fusion: str
    parameters: int
    words: int
    towers_flops: int
    match_flops: int
    latency: Latency | None = None


def overview(names: Iterable[str] = tuple(PRESETS), *, latency: bool = False, rounds: int = 20) -> list[Entry]:
    """Return the named configurations, their vocabulary as large as it may become.

    Args:
        names: of `essen.presets.PRESETS`.
        latency: build each one with random weights and time it, `rounds` times.

    Raises:
        EssenError: a backbone or encoder cannot be built.
    """
    return [_entry(ModelConfig.model_validate(name), rounds if latency else 0) for name in names]


def markdown(entries: Iterable[Entry]) -> list[str]:
    """Return the table as lines of Markdown."""
    rows = list(entries)
    timed = any(row.latency for row in rows)
    titles = ["configuration", "pixels", "vision", "text", "fusion"]
    titles += ["parameters, M", "word head, M", "towers, GFLOPs", "with fusion, GFLOPs"]
    lines = [titles + (["picture, ms", "caption, ms", "match, ms"] if timed else [])]
    lines += [["---"] * 5 + ["---:"] * (len(lines[0]) - 5)]
    for row in rows:
        flops = [row.towers_flops, row.towers_flops + row.match_flops]
        cells = [row.name, str(row.image_size), row.vision, row.text, row.fusion]
        cells += [f"{row.parameters / 1e6:.2f}", f"{row.words / 1e6:.2f}", *(f"{each / 1e9:.3f}" for each in flops)]
        if row.latency:
            cells += [f"{each:.1f}" for each in (row.latency.picture, row.latency.caption, row.latency.match)]
        lines.append(cells)
    return ["| " + " | ".join(line) + " |" for line in lines]


def measure_latency(config: ModelConfig, rounds: int) -> Latency:
    """Return the median latency of a model with random weights, one picture and one caption, on one thread of torch."""
    import torch

    from essen.computing import threads
    from essen.model import build_model

    vocab_size = _vocab_size(config)
    model = build_model(config, vocab_size, seed=0, pretrained=False).to(memory_format=torch.channels_last).eval()
    pixels = torch.zeros(1, 3, config.image_size, config.image_size, dtype=torch.uint8)
    ids, mask = torch.full((1, PIECES), vocab_size - 1), torch.ones(1, PIECES, dtype=torch.bool)
    with threads(1), torch.inference_mode():
        images, texts = model.encode_images(pixels), model.encode_texts(ids, mask)
        return Latency(
            picture=_median(lambda: model.encode_images(pixels), rounds),
            caption=_median(lambda: model.encode_texts(ids, mask), rounds),
            match=_median(lambda: model.match(images, texts), rounds),
        )


def _median(use: Callable[[], object], rounds: int) -> float:
    use()
    milliseconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        use()
        milliseconds.append(1000 * (time.perf_counter() - started))
    return statistics.median(milliseconds)


def _entry(config: ModelConfig, rounds: int) -> Entry:
    parts = count_model(config, _vocab_size(config), PIECES)
    return Entry(
        name=config.name,
        image_size=config.image_size,
        vision=_vision(config),
        text=_text(config.text),
        fusion=_fusion(config.fusion),
        parameters=sum(cost.parameters for name, cost in parts.items() if name != "words"),
        words=parts["words"].parameters,
        towers_flops=2 * sum(parts[name].macs for name in ("vision", "text", "projections")),
        match_flops=2 * sum(parts[name].macs for name in ("fusion", "heads")),
        latency=measure_latency(config, rounds) if rounds else None,
    )


def _vocab_size(config: ModelConfig) -> int:
    if isinstance(config.text, TextConfig):
        return config.text.vocab_size
    return int(config.text.architecture["vocab_size"])


def _vision(config: ModelConfig) -> str:
    vision = config.vision
    if isinstance(vision, BackboneConfig):
        return vision.backbone
    if vision.kind == "patch":
        return f"patches of {vision.patch}, {vision.layers}×{vision.width}"
    return f"convolutions, {'-'.join(str(width) for width in vision.widths)}"


def _fusion(config: AnyFusion) -> str:
    if config.kind == "joint":
        return f"joint {config.layers}×{config.width} of {config.latents} tokens"
    return f"{config.kind} {config.layers}×{config.width}" if config.kind in ("lxmert", "meter") else config.kind


def _text(config: TextConfig | PretrainedTextConfig) -> str:
    if isinstance(config, TextConfig):
        return f"{config.layers}×{config.width}"
    return config.weights or str(config.architecture["model_type"])
