"""Which threshold finds which copies: the curves and the table of ``essen dedup-calibrate``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.report import figures

FILE = "reports/calibration/calibration.json"
SIZE = (300, 230)  # pixels; fits a telephone
TIERS = ("exact", "perceptual", "semantic", "lines", "redrawn", "combined")


@dataclass(frozen=True, kw_only=True)
class Key:
    """An entry of the legend: a kind of copy, the number of its colour, and the dashes of its line."""

    name: str
    series: int
    dashes: str


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How the rule of duplicates does on copies that are known.

    Attributes:
        pictures: that were copied.
        tiers: names of the columns.
        rows: name of the copies, how many there are, and for every tier recall and precision, 0 to 1 or None.
        pages: share of consecutive story pages merged, by tier; None where there were none to look at.
        page_pairs: how many of these there are.
        figures: recall by threshold as ``<svg>``, one a tier.
        keys: the legend of all figures.
    """

    pictures: int
    tiers: list[str]
    rows: list[dict[str, Any]]
    pages: dict[str, float] | None
    page_pairs: int
    figures: list[str]
    keys: list[Key]


def read_calibration(run: Path) -> Calibration | None:
    """Return the calibration of a run, or None where there is none."""
    path = run / FILE
    if not path.is_file():
        return None
    found = files.read_json(path)
    names = [row["name"] for row in found["copies"]]
    styles = {name: figures.line_style(place) for place, name in enumerate(names)}
    pages = found["consecutive"]
    return Calibration(
        pictures=found["pictures"],
        tiers=[tier for tier in TIERS if tier in found["copies"][0]["tiers"]],
        rows=found["copies"],
        pages=pages["merged"] if pages else None,
        page_pairs=pages["pairs"] if pages else 0,
        figures=[_figure(tier, curve, styles) for tier, curve in found["curves"].items()],
        keys=[Key(name=name, series=1 + style.series, dashes=style.dashes) for name, style in styles.items()],
    )


def _figure(tier: str, curve: Mapping[str, Any], styles: "Mapping[str, figures.LineStyle]") -> str:
    lines = [
        figures.Recall(
            style=styles[name],
            thresholds=curve["thresholds"],
            shares=[100 * point["recall"] for point in points],
        )
        for name, points in curve["copies"].items()
    ]
    pages = [100 * share for share in curve["merged"]]
    draw = figures.recalls(tier, curve["field"], curve["chosen"], lines, curve["thresholds"], pages)
    return figures.svg(f"calibration-{tier}", f"Share of copies that {tier} finds, by {curve['field']}", SIZE, draw)
