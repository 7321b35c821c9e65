"""The training curves of the run's models, from their own metrics."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.report import figures
from pipeline.report.config import ReportConfig

# One by one and not their sum: some are computed every few steps only, which would make the sum jump.
LOSSES = {
    "contrastive": "text and picture",
    "image_contrast": "picture and picture",
    "matching": "matching",
    "masked": "masked words",
}
WIDE, NARROW = (1040, 300), (350, 280)  # pixels


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training of one model.

    Attributes:
        name: of the model.
        steps: optimiser steps taken.
        stages: how many stages open on the way, 0 where it went through none.
        losses: name, first and last value of every curve.
        wide, narrow: the curves as ``<svg>`` for a screen and for a telephone.
    """

    name: str
    steps: int
    stages: int
    losses: list[tuple[str, float, float]]
    wide: str
    narrow: str


def read_training(config: ReportConfig, run: Path) -> list[Training]:
    """Return the curves of every model of the run that has metrics, by name."""
    paths = sorted((run / "models").glob("*/metrics.jsonl"))
    found = [(path.parent.name, list(_records(path))) for path in paths]
    return [_training(config, name, records) for name, records in found if records]


def _training(config: ReportConfig, name: str, records: list[dict[str, Any]]) -> Training:
    lines = [
        _averaged(label, records, key, config.curve_points)
        for key, label in LOSSES.items()
        if any(key in record for record in records)
    ]
    short = _boundaries(records)
    stages = [(step, "all stages" if stage == "all" else f"stage {stage}") for step, stage in short]
    return Training(
        name=name,
        steps=records[-1]["step"],
        stages=len(stages),
        losses=[(line.name, line.values[0], line.values[-1]) for line in lines],
        wide=figures.svg(f"loss-{name}-wide", f"Training losses of {name}", WIDE, figures.curves(lines, stages, 4)),
        narrow=figures.svg(
            f"loss-{name}-narrow", f"Training losses of {name}", NARROW, figures.curves(lines, short, 2)
        ),
    )


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a model's training.

    Raises:
        DataError: a line is not a JSON object.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError:
            raise DataError(f"{path}: line {number} is not JSON; train again") from None


def _averaged(label: str, records: Sequence[dict[str, Any]], key: str, points: int) -> figures.Curve:
    """Return a curve with at most `points` points, each the mean over equally many neighbouring records."""
    import numpy as np

    own = [record for record in records if key in record]
    chunks = np.array_split(np.arange(len(own)), min(points, len(own)))
    steps = [float(np.mean([own[place]["step"] for place in chunk])) for chunk in chunks]
    values = [float(np.mean([own[place][key] for place in chunk])) for chunk in chunks]
    return figures.Curve(name=label, steps=steps, values=values)


def _boundaries(records: Sequence[dict[str, Any]]) -> list[tuple[float, str]]:
    """Return the step at which each stage opens and its number; 0 in the metrics says that all stages are one."""
    begins: dict[int, float] = {}
    for record in records:
        if "stage" in record:
            begins.setdefault(record["stage"], record["step"])
    return [(step, str(stage or "all")) for stage, step in begins.items()] if len(begins) > 1 else []
