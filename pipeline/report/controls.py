"""The controls beside the order: the same samples in stages of the same sizes, in another sequence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.curriculum.controls import NAMES
from pipeline.curriculum.order import FOLDER
from pipeline.report import figures
from pipeline.report.curriculum import stage_spans
from pipeline.report.order_figures import Span, course
from pipeline.tables import read_table

if TYPE_CHECKING:
    import numpy as np

SIZE = (330, 150)  # pixels; fits a telephone
ORDER = "order"
ABOUT: Mapping[str, str] = MappingProxyType(
    {
        ORDER: "The order itself, with which each control is compared.",
        "random": "Any sequence. An order that does no better is no curriculum.",
        "reversed": "The order from its end. If it does as well, starting easy is not what helps.",
        "shuffled": "Every sample keeps its stage. Tells the stages from the order inside them.",
        "frequency": "Samples of like word frequency exchange places. If it does as well, the order is word frequency.",
        "permuted": "Whole stages take each other's turns, cut at the same sizes. Tells a stage from its turn.",
    }
)


@dataclass(frozen=True, kw_only=True)
class ControlStage:
    """A stage of a control: `same` is the share of its samples that the order has in this stage too."""

    stage: int
    name: str
    samples: int
    words: int
    same: float
    difficulty: float


@dataclass(frozen=True, kw_only=True)
class Control:
    """A control, or the order itself.

    Attributes:
        name: of the control.
        about: what it is for.
        same: share of all samples that stand in the stage where the order has them.
        correlation: of the places of the samples here and in the order, from -1 to 1.
        stages: in turn; `difficulty` is the mean.
        figure: difficulty along it as ``<svg>``.
    """

    name: str
    about: str
    same: float
    correlation: float
    stages: list[ControlStage]
    figure: str


def read_controls(run: Path) -> list[Control]:
    """Return the order of a run and its controls; none where nothing has been ordered."""
    import numpy as np
    import pyarrow.compute as pc

    if not (run / FOLDER / "order.parquet").is_file():
        return []
    summary = files.read_json(run / FOLDER / "summary.json")
    order = read_table(run / FOLDER / "order.parquet", ["uid", "stage", "difficulty"])
    places = {ORDER: np.arange(len(order))}
    words = {ORDER: [entry["words"] for entry in summary["exposure"]["stages"]]}
    words |= summary["words_by_stage_in_controls"]
    for name in NAMES:
        control = read_table(run / FOLDER / f"controls/{name}.parquet", ["uid"])
        found = pc.index_in(control.column("uid"), value_set=order.column("uid").combine_chunks())
        places[name] = found.to_numpy()
    stage, difficulty = (order.column(name).to_numpy() for name in ("stage", "difficulty"))
    return [
        _control(name, summary, places=own, words=words[name], stage=stage, difficulty=difficulty)
        for name, own in places.items()
    ]


def _control(
    name: str,
    summary: Mapping[str, Any],
    *,
    places: "np.ndarray",
    words: list[int],
    stage: "np.ndarray",
    difficulty: "np.ndarray",
) -> Control:
    """Return a control.

    Args:
        name: of the control.
        summary: of the order.
        places: (N,) where the order has the sample that stands at each place.
        words: of each stage.
        stage, difficulty: (N,) by place of the order.
    """
    import numpy as np

    spans = stage_spans(summary)
    same, own = stage[places] == stage, difficulty[places]
    ends = np.arange(len(places))
    still = len(places) < 2  # one sample has no order
    limits = (float(difficulty.min()), float(difficulty.max()))
    return Control(
        name=name,
        about=ABOUT[name],
        same=float(same.mean()),
        correlation=1.0 if still else float(np.corrcoef(places, ends)[0, 1]),
        stages=[
            _stage(span, words[number], same[span.start : span.end], own[span.start : span.end])
            for number, span in enumerate(spans)
        ],
        figure=figures.svg(f"course-{name}", f"Difficulty along {name}", SIZE, course(spans, own, limits)),
    )


def _stage(span: Span, words: int, same: "np.ndarray", difficulty: "np.ndarray") -> ControlStage:
    return ControlStage(
        stage=span.stage,
        name=span.name,
        samples=span.end - span.start,
        words=words,
        same=float(same.mean()),
        difficulty=float(difficulty.mean()),
    )
