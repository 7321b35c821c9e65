"""What a calibration looks like: recall by threshold for every tier, and the pairs that the threshold parts."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files

TILE, GAP, TEXT, COLUMNS = 112, 6, 26, 4


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A pair near the threshold: its value, the two pictures (encoded), what made it, what becomes of it, the truth."""

    value: float
    first: bytes
    second: bytes
    name: str
    merged: bool
    true: bool


def write_curves(result: Mapping[str, Any], path: Path) -> None:
    """Draw recall by threshold, a panel a tier and a line a kind of copy; the black line is story pages merged."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    curves = result["curves"]
    figure, axes = plt.subplots(1, len(curves), figsize=(4.2 * len(curves), 4.4), sharey=True, layout="constrained")
    colours = plt.get_cmap("tab20")
    for axis, (tier, curve) in zip(axes, curves.items(), strict=True):
        for number, (name, points) in enumerate(curve["copies"].items()):
            recall = [100 * point["recall"] for point in points]
            style = "--" if name.startswith("labelled") else "-"
            axis.plot(curve["thresholds"], recall, style, color=colours(number % 20), label=name, linewidth=1.4)
        if curve["merged"]:
            merged = [100 * share for share in curve["merged"]]
            axis.plot(curve["thresholds"], merged, color="black", linewidth=2.2, label="story pages merged")
        axis.axvline(curve["chosen"], color="grey", linestyle=":")
        axis.set(title=tier, xlabel=curve["field"], ylim=(-2, 102))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("found, %")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=7, fontsize=8, frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": ""})
    plt.close(figure)
    files.write_bytes(path, out.getvalue())


def write_sheet(pairs: Sequence[Neighbour], path: Path) -> None:
    """Draw pairs side by side in the order given; green frames stand for true copies, red ones for others."""
    from PIL import Image, ImageDraw

    width, height = 2 * TILE + 3 * GAP, TILE + TEXT + 2 * GAP
    rows = max(1, -(-len(pairs) // COLUMNS))
    sheet = Image.new("RGB", (COLUMNS * width, rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    for number, pair in enumerate(pairs):
        left, top = (number % COLUMNS) * width, (number // COLUMNS) * height
        frame = "green" if pair.true else "firebrick"
        pen.rectangle((left + 2, top + 2, left + width - 3, top + TILE + 2 * GAP - 2), outline=frame, width=2)
        for side, data in enumerate((pair.first, pair.second)):
            with Image.open(io.BytesIO(data)) as picture:
                small = picture.convert("RGB")
            small.thumbnail((TILE, TILE))
            place = (
                left + GAP + side * (TILE + GAP) + (TILE - small.width) // 2,
                top + GAP + (TILE - small.height) // 2,
            )
            sheet.paste(small, place)
        verdict = "one" if pair.merged else "two"
        pen.text((left + GAP, top + TILE + 2 * GAP), f"{pair.value:.2f} {verdict} · {pair.name}"[:40], fill="black")
    out = io.BytesIO()
    sheet.save(out, "PNG")
    files.write_bytes(path, out.getvalue())
