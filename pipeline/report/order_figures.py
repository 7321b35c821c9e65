"""Figures of an order: how the words grow along it, and how difficulty runs through it and through its controls."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.report.figures import INK, LINE, MUTED, stage_colour

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 60  # of a course, over all stages
BAND = (10, 90)  # percentiles between which most samples of a bin lie
LETTER = 8.0  # pixels that a letter takes at most


@dataclass(frozen=True, kw_only=True)
class Span:
    """The places of a stage in the order: from `start` to before `end`."""

    stage: int
    name: str
    start: int
    end: int


def difficulty_histogram(
    values: "Sequence[float] | np.ndarray", limits: tuple[float, float], stage: int
) -> Callable[..., None]:
    """Return what draws the distribution of a stage's difficulty on the scale shared by all stages."""
    from matplotlib.ticker import MaxNLocator

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        low, high = _apart(limits)
        axes.hist(values, bins=40, range=(low, high), color=stage_colour(stage))
        axes.set_xlim(low, high)
        axes.set_xlabel("difficulty")
        axes.set_ylabel("samples")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))

    return draw


def growth(spans: Sequence[Span], points: Sequence[tuple[int, int]], width: int) -> Callable[..., None]:
    """Return what draws the number of different words by the number of samples, stage by stage in their colours.

    Args:
        spans: of the stages, in order.
        points: samples and words, rising from (0, 0); the ends of the spans are among them.
        width: of the figure in pixels; decides where there is room for a name.
    """
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.grid(axis="y", linewidth=0.6)
        for span in spans:
            own = [point for point in points if span.start <= point[0] <= span.end]
            samples, words = [point[0] for point in own], [point[1] for point in own]
            axes.fill_between(samples, words, color=stage_colour(span.stage), alpha=0.18, linewidth=0)
            axes.plot(samples, words, color=stage_colour(span.stage), linewidth=2)
        _borders(axes, spans, width)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("samples met")
        axes.set_ylabel("different words")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True, nbins=5))
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))

    return draw


def course(spans: Sequence[Span], difficulty: "np.ndarray", limits: tuple[float, float]) -> Callable[..., None]:
    """Return what draws difficulty along an order: the mean of neighbours, and the band in which most of them lie.

    Args:
        spans: of the stages, in order.
        difficulty: (N,) by place.
        limits: of the scale, shared by all that are compared.
    """
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        for span in spans:
            bins = min(span.end - span.start, max(2, round(BINS * (span.end - span.start) / len(difficulty))))
            edges = np.linspace(span.start, span.end, bins + 1).round().astype(int)
            parts = [difficulty[start:end] for start, end in itertools.pairwise(edges.tolist())]
            low, high = np.transpose([np.percentile(part, BAND) for part in parts])
            colour = stage_colour(span.stage)
            axes.stairs(high, edges, baseline=low, fill=True, color=colour, alpha=0.25, linewidth=0)
            axes.stairs([part.mean() for part in parts], edges, baseline=None, color=colour, linewidth=2)
        _borders(axes, spans, 0)
        axes.set_ylim(_apart(limits))
        axes.set_xticks([])
        axes.set_xlabel("first to last place")
        axes.set_ylabel("difficulty")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3))

    return draw


def _apart(limits: tuple[float, float]) -> tuple[float, float]:
    """Return limits of a scale that differ, whatever they were."""
    return limits if limits[0] < limits[1] else (limits[0] - 0.5, limits[1] + 0.5)


def _borders(axes: "Axes", spans: Sequence[Span], width: int) -> None:
    """Mark where stages begin, and write above each its name, or its number where a name has no room."""
    total = spans[-1].end
    for span in spans:
        if span.start:
            axes.axvline(span.start, color=LINE, linewidth=0.8)
        room = 0.85 * width * (span.end - span.start) / total
        label = f"{span.stage} {span.name}" if LETTER * (len(span.name) + 2) < room else str(span.stage)
        middle = (span.start + span.end) / 2
        colour = INK if label != str(span.stage) else MUTED
        axes.text(middle, 1.02, label, transform=axes.get_xaxis_transform(), ha="center", va="bottom", color=colour)
    axes.set_xlim(0, total)
