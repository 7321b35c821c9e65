"""A study in one figure, a file of its own: scores of all seeds by arm and, where there are any, learning curves."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.report.studies import in_order, score_name, score_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("svg", "png")
DPI = 150
COLOURS = ("#2f6f9f", "#c8553d", "#5b8c5a", "#8e6c8a", "#c99a2e", "#4f5d75", "#a05195", "#3d9b9b", "#7a7a7a", "#b56576")


def draw_study(results: Mapping[str, Any], path: Path) -> None:
    """Write the figure of a study's results; the same results give the same bytes.

    Args:
        results: see `flows.study.results`; of several budgets the first is shown.
        path: an SVG or PNG file, by its name.

    Raises:
        ConfigError: it is to be another kind of file.
    """
    kind = path.suffix.lstrip(".").lower()
    if kind not in KINDS:
        raise ConfigError(f"{path}: a figure is written as {' or '.join(f'.{known}' for known in KINDS)}")
    import matplotlib
    from matplotlib.figure import Figure

    arms = in_order(results, "arm")
    budget = results["cells"][0]["budget"]
    cells = {arm: [c for c in results["cells"] if (c["arm"], c["budget"]) == (arm, budget)] for arm in arms}
    curves = any(cell["curve"] for own in cells.values() for cell in own)
    with matplotlib.rc_context({"svg.hashsalt": results["study"]["name"], "svg.fonttype": "none", "font.size": 9.0}):
        size = (9.0 if curves else 5.0, 1.2 + max(0.32 * len(arms), 2.0))
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        axes = figure.subplots(1, 1 + curves, squeeze=False)[0]
        _scores(axes[0], results, cells)
        if curves:
            _curves(axes[1], cells)
        path.parent.mkdir(parents=True, exist_ok=True)
        nothing: dict[str, Any] = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(path, format=kind, metadata=nothing)


def _scores(axes: "Axes", results: Mapping[str, Any], cells: Mapping[str, list[dict[str, Any]]]) -> None:
    """Draw every seed as a ring and the mean as a dot, one arm a row; chance as a line."""
    score = results["study"]["score"]
    scale = score_scale(score)
    for place, own in enumerate(cells.values()):
        values = [scale * cell["scores"]["primary"]["value"] for cell in own]
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(values, [place] * len(values), "o", color=colour, markerfacecolor="none", markersize=4)
        axes.plot([math.fsum(values) / len(values)], [place], "o", color=colour, markersize=7)
        if "controls" in own[0] and not place:
            axes.axvline(scale * own[0]["controls"]["chance"], color="#999999", linewidth=0.8, linestyle=(0, (2, 3)))
    axes.set_yticks(range(len(cells)), list(cells))
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.set_xlabel(score_name(score))
    _plain(axes)


def _curves(axes: "Axes", cells: Mapping[str, list[dict[str, Any]]]) -> None:
    """Draw the mean validation recall of every arm over the examples seen."""
    for place, (arm, own) in enumerate(cells.items()):
        points = list(zip(*(cell["curve"] for cell in own), strict=False))
        examples = [together[0]["examples"] for together in points]
        recall = [100 * math.fsum(point["recall"] for point in together) / len(together) for together in points]
        axes.plot(examples, recall, color=COLOURS[place % len(COLOURS)], linewidth=1.5, label=arm)
    axes.set_xlabel("examples seen")
    axes.set_ylabel("validation recall, per cent")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    _plain(axes)


def _plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", linewidth=0.4, color="#dddddd")
    axes.set_axisbelow(True)
