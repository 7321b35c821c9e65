"""Figures as SVG that lives in the page: its colours and its typeface are the page's, in light and in dark.

Matplotlib draws with placeholder colours, which are then replaced by the page's CSS variables. Nothing in a figure says
when or where it was made, so the same values give the same bytes. Text stays text: it can be selected, searched and
read aloud.
"""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100.0  # pixels an inch: sizes below are in pixels of the page
FONT = 12.0 * 72.0 / DPI  # 12 pixels, in points
INK, MUTED, LINE = "#a0b001", "#a0b002", "#a0b003"
SERIES = ("#a0b011", "#a0b012", "#a0b013", "#a0b014", "#a0b015")
DASHES = ("", "4 2", "1 2")
BINS = 32
CSS_NAMES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)},
}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line over training steps: its name and its points."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A score with its interval, in per cent; `low` and `high` are None where there is none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One comparison: a title, and for each of its rows a label, the R@1 and the R@10."""

    title: str
    rows: Sequence[tuple[str, Dot, Dot]]


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """One row of a distribution: its name, the number of its stage (0 for a corpus), and the known values."""

    name: str
    stage: int
    values: "np.ndarray"


@dataclass(frozen=True, kw_only=True)
class LineStyle:
    """How a line is told apart: the number of its colour, from 0, and the lengths of its dashes."""

    series: int
    dashes: str


@dataclass(frozen=True, kw_only=True)
class Recall:
    """The share of some copies that is found, in per cent, by threshold."""

    style: LineStyle
    thresholds: Sequence[float]
    shares: Sequence[float]


def svg(name: str, title: str, size: tuple[int, int], draw: Callable[["Figure"], None]) -> str:
    """Return a figure as an ``<svg>`` element.

    Args:
        name: sets the figure's internal identifiers; unique on the page.
        title: says in words what is to be seen.
        size: width and height in pixels.
        draw: puts the axes on the figure.
    """
    import matplotlib
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "font.size": FONT,
        "axes.titlesize": FONT,
        "axes.edgecolor": LINE,
        "axes.labelcolor": MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.axisbelow": True,
        "text.color": INK,
        "xtick.color": LINE,
        "ytick.color": LINE,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "grid.color": LINE,
        "legend.frameon": False,
        "legend.labelcolor": INK,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI, layout="constrained")
        figure.patch.set_alpha(0.0)
        draw(figure)
        for axes in figure.axes:
            axes.patch.set_alpha(0.0)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return _for_the_page(out.getvalue(), title)


def curves(lines: Sequence[Curve], boundaries: Sequence[tuple[float, str]], columns: int) -> Callable[..., None]:
    """Return what draws training curves, with a thin line and a name where a new stage begins.

    Args:
        lines: one a loss.
        boundaries: step and name.
        columns: of the legend.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.grid(axis="y", linewidth=0.6)
        for number, line in enumerate(lines):
            axes.plot(line.steps, line.values, color=_series(number), linewidth=1.5, label=line.name)
        for step, name in boundaries:
            axes.axvline(step, color=MUTED, linewidth=0.7, linestyle=(0, (2, 3)))
            axes.text(step, 1.02, name, transform=axes.get_xaxis_transform(), va="bottom", color=MUTED)
        axes.set_ylim(bottom=0)
        axes.margins(x=0.01)
        axes.set_xlabel("training step")
        if len(lines) > 1:
            figure.legend(loc="outside upper left", ncols=columns, handlelength=1.2, columnspacing=1.2)

    return draw


def dots(panels: Sequence[Panel], columns: int) -> Callable[..., None]:
    """Return what draws scores as dots with intervals: R@1 filled, R@10 as a ring, one panel a comparison."""

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(-(-len(panels) // columns), columns, sharex=True, sharey=True, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _dot_panel(axes, panel)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("found among the first, % of queries")

    return draw


def ridges(rows: Sequence[Ridge], limits: tuple[float, float], title: str, *, whole: bool) -> Callable[..., None]:
    """Return what draws one distribution below the other on one scale: stages in their colours, corpora in grey.

    Every row is scaled to its own peak; a line and the number at the right are its median. What lies beyond the limits
    counts in the outermost bins.

    Args:
        rows: corpora first, then stages.
        limits: of the scale.
        whole: whether all values are whole numbers.
    """
    import numpy as np

    low, high = limits
    single = whole and high - low < BINS
    edges = np.arange(low, high + 2) - 0.5 if single else np.linspace(low, high, BINS + 1)
    # A gap parts the stages from the corpora that they are made of.
    bases = [len(rows) - place - (1 if row.stage else 0) for place, row in enumerate(rows)]

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        for base, row in zip(bases, rows, strict=True):
            _ridge(axes, row.values, edges, base, stage_colour(row.stage) if row.stage else MUTED)
        axes.set_yticks([base + 0.3 for base in bases], [row.name for row in rows])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines["left"].set_visible(False)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(min(bases) - 0.1, max(bases) + 1)
        figure.suptitle(title, color=INK, x=0.01, ha="left", fontsize=FONT, fontweight="bold")

    return draw


def _ridge(axes: "Axes", values: "np.ndarray", edges: "np.ndarray", base: int, colour: str) -> None:
    import numpy as np

    right = axes.get_yaxis_transform()
    if not len(values):
        axes.text(1.02, base + 0.3, "–", transform=right, va="center", color=MUTED)
        return
    counts, _ = np.histogram(values.clip(edges[0], edges[-1]), bins=edges)
    heights = base + 0.82 * counts / counts.max()
    axes.stairs(heights, edges, baseline=base, fill=True, color=colour, alpha=0.75)
    middle = float(np.median(values))
    axes.plot([middle, middle], [base, base + 0.82], color=INK, linewidth=1.2)
    axes.text(1.02, base + 0.3, f"{middle:.3g}", transform=right, va="center", color=MUTED)


def line_style(place: int) -> LineStyle:
    """Return a style for the n-th of up to fifteen lines: five colours, then the same in dashes."""
    return LineStyle(series=place % len(SERIES), dashes=DASHES[place // len(SERIES) % len(DASHES)])


def recalls(
    title: str,
    field: str,
    chosen: float,
    lines: Sequence[Recall],
    thresholds: Sequence[float],
    pages: Sequence[float],
) -> Callable[..., None]:
    """Return what draws recall by threshold, a dotted line at the threshold that is chosen.

    Args:
        pages: share, in per cent, of different pictures that are taken for one, by threshold; empty where not known.
    """
    from matplotlib.ticker import MaxNLocator

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.grid(axis="y", linewidth=0.6)
        axes.axvline(chosen, color=MUTED, linewidth=0.9, linestyle=(0, (2, 3)))
        for line in lines:
            dashes = [float(length) for length in line.style.dashes.split()]
            style: Any = (0, dashes) if dashes else "-"
            axes.plot(line.thresholds, line.shares, color=_series(line.style.series), linewidth=1.4, linestyle=style)
        if pages:
            axes.plot(thresholds, pages, color=INK, linewidth=2.2)
        axes.set_title(title, color=INK)
        axes.set_xlabel(field.replace("_", " "))
        axes.set_ylabel("found, %")
        axes.set_ylim(-3, 103)
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))

    return draw


def _dot_panel(axes: "Axes", panel: Panel) -> None:
    axes.set_title(panel.title, color=INK)
    axes.grid(axis="x", linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_yticks(range(len(panel.rows)), [label for label, _, _ in panel.rows])
    axes.set_ylim(len(panel.rows) - 0.4, -0.6)
    axes.set_xlim(-2, 102)
    for place, (_, first, tenth) in enumerate(panel.rows):
        colour = _series(place)
        for dot, fill in ((tenth, "none"), (first, colour)):
            if dot.low is not None and dot.high is not None:
                axes.plot([dot.low, dot.high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
            axes.plot([dot.value], [place], "o", color=colour, markerfacecolor=fill, markersize=5.5)


def stage_colour(stage: int) -> str:
    """Return the colour of a stage, from 1; after the fifth they come again."""
    return _series(stage - 1)


def _series(number: int) -> str:
    return SERIES[number % len(SERIES)]


def _for_the_page(text: str, title: str) -> str:
    """Drop what only a stand-alone file needs, and hand colours, typeface and title to the page."""
    from markupsafe import escape

    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"<style.*?</style>\s*", "", text, flags=re.DOTALL)  # it would hold for the whole page
    text = re.sub(r"<defs>\s*</defs>\s*", "", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--sans)", text)
    for colour, name in CSS_NAMES.items():
        text = text.replace(colour, name)
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)[0]
    head = f'<svg role="img" viewBox="0 0 {width} {height}" style="max-width: {_pixels(width)}px">'
    return head + f"<title>{escape(title)}</title>" + text[text.index(">") + 1 :]


def _pixels(points: str) -> int:
    return round(float(points) * DPI / 72.0)
