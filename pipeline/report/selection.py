"""What became of every sample: the funnel, and the duplicates beside what was kept in their place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.report.config import ReportConfig
from pipeline.report.pictures import raw_picture
from pipeline.report.stages import Tile, evenly_spaced
from pipeline.tables import read_columns
from pipeline.workspace import check_funnel

SAFETY = "safety"  # the selection step whose pictures are never shown


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """All steps of the selection; every number adds up or the report is refused.

    Attributes:
        samples: that came in.
        kept: that went out.
        steps: ``step``, ``in``, ``kept``, and ``dropped``: number by reason, most frequent first.
    """

    samples: int
    kept: int
    steps: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A dropped sample, the one kept in its place, and how alike they are."""

    dropped: Tile
    kept: Tile
    reason: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Pairs to look at, out of `total` that could be shown."""

    total: int
    pairs: list[Pair]


def read_funnel(run: Path) -> Funnel | None:
    """Return the funnel of a run, or None where nothing has been selected.

    Raises:
        DataError: a step's numbers do not add up, or it does not go on from the step before.
    """
    path = run / "selection/funnel.json"
    if not path.is_file():
        return None
    steps = files.read_json(path)["steps"]
    for before, step in zip([None, *steps], steps, strict=False):
        check_funnel(step["step"], step)
        if before is not None:
            check_funnel(step["step"], {"in": before["kept"], "kept": step["in"], "dropped": {}})
    ordered = [
        {**step, "dropped": dict(sorted(step["dropped"].items(), key=lambda item: (-item[1], item[0])))}
        for step in steps
    ]
    return Funnel(samples=steps[0]["in"], kept=steps[-1]["kept"], steps=ordered)


def read_duplicates(config: ReportConfig, run: Path) -> Duplicates | None:
    """Return dropped duplicates beside their kept partners, or None where the run has no verdicts.

    A pair is shown only where its partner was kept to the end, and where neither picture was dropped for safety under
    any caption.
    """
    path = run / "selection/verdicts.parquet"
    if not path.is_file():
        return None
    verdicts = _rows(path)
    samples = {row["uid"]: row for row in _rows(run / "signals/samples.parquet")}
    kept = {row["uid"] for row in verdicts if row["kept"]}
    unsafe = {samples[row["uid"]]["image_sha256"] for row in verdicts if row["step"] == SAFETY}
    shown = [
        row
        for row in verdicts
        if not row["kept"]
        and row["partner"] in kept
        and not unsafe & {samples[uid]["image_sha256"] for uid in (row["uid"], row["partner"])}
    ]
    shown.sort(key=lambda row: (row["reason"], -row["score"], row["uid"]))
    chosen = [shown[place] for place in evenly_spaced(len(shown), config.pairs)] if config.pairs else []
    return Duplicates(total=len(shown), pairs=[_pair(config, run, samples, row) for row in chosen])


def _pair(config: ReportConfig, run: Path, samples: dict[str, dict[str, Any]], row: dict[str, Any]) -> Pair:
    return Pair(
        dropped=_tile(config, run, samples[row["uid"]]),
        kept=_tile(config, run, samples[row["partner"]]),
        reason=row["reason"],
        score=row["score"],
    )


def _tile(config: ReportConfig, run: Path, sample: dict[str, Any]) -> Tile:
    picture = raw_picture(run, sample["raw_shard"], sample["raw_offset"], sample["raw_size"], config.thumbnail)
    return Tile(picture=picture, caption=sample["caption"], lang=sample["lang"])


def _rows(path: Path) -> list[dict[str, Any]]:
    columns = read_columns(path)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
