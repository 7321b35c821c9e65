"""The training curves of the run's models, from their own metrics."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import DataError
from pipeline.report import figures
from pipeline.report.config import ReportConfig

LOSSES = {"loss": "total", "contrastive": "contrastive", "matching": "matching", "masked": "masked words"}
WIDE, NARROW = (1040, 300), (350, 260)  # pixels


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training of one model.

    Attributes:
        name: of the model.
        steps: optimiser steps taken.
        first, last: the averaged total loss at both ends.
        wide, narrow: the curves as ``<svg>`` for a screen and for a telephone.
    """

    name: str
    steps: int
    first: float
    last: float
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
    draw = figures.curves(lines, _boundaries(records))
    return Training(
        name=name,
        steps=records[-1]["step"],
        first=lines[0].values[0],
        last=lines[0].values[-1],
        wide=figures.svg(f"loss-{name}-wide", f"Training loss of {name}", WIDE, draw),
        narrow=figures.svg(f"loss-{name}-narrow", f"Training loss of {name}", NARROW, draw),
    )


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records that report a loss.

    Raises:
        DataError: a line is not a JSON object.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError:
            raise DataError(f"{path}: line {number} is not JSON; train again") from None
        if "loss" in record:
            yield record


def _averaged(label: str, records: Sequence[dict[str, Any]], key: str, points: int) -> figures.Curve:
    """Return a curve with at most `points` points, each the mean over equally many neighbouring records."""
    import numpy as np

    own = [record for record in records if key in record]
    chunks = np.array_split(np.arange(len(own)), min(points, len(own)))
    steps = [float(np.mean([own[place]["step"] for place in chunk])) for chunk in chunks]
    values = [float(np.mean([own[place][key] for place in chunk])) for chunk in chunks]
    return figures.Curve(name=label, steps=steps, values=values)


def _boundaries(records: Sequence[dict[str, Any]]) -> list[tuple[float, str]]:
    """Return the step at which each stage begins and what to write there."""
    begins: dict[int, float] = {}
    for record in records:
        if "stage" in record:
            begins.setdefault(record["stage"], record["step"])
    return [(step, f"stage {stage}") for stage, step in begins.items()] if len(begins) > 1 else []


def count_parameters(run: Path) -> int | None:
    """Return the number of parameters of the evaluated model, or None where none has been evaluated."""
    path = run / "reports/evaluation.json"
    return int(files.read_json(path)["model"]["parameters"]) if path.is_file() else None
