"""What became of every sample: the funnel, and for every reason some of those that it dropped."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.report.catalogue import Catalogue, Tile, evenly_spaced, seen_by_safety
from pipeline.report.config import ReportConfig
from pipeline.report.sources import frequent_first
from pipeline.select.kept import FILE as KEPT
from pipeline.select.kept import read_kept
from pipeline.select.safety_config import SafetyConfig
from pipeline.select.verdict import SAFETY
from pipeline.workspace import check_funnel

DUPLICATES = "duplicates"  # the step whose drops are shown as pairs


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """All steps of the selection; every number adds up or the report is refused.

    Attributes:
        samples: that came in.
        kept: that went out.
        steps: ``step``, ``in``, ``kept``, and ``dropped``: number by reason, most frequent first.
        merged: captions of dropped pictures that live on with the picture that stayed; they come on top of `kept`.
    """

    samples: int
    kept: int
    steps: list[dict[str, Any]]
    merged: int


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Some of the samples that one reason dropped, of `total`."""

    step: str
    reason: str
    total: int
    tiles: list[Tile]


@dataclass(frozen=True, kw_only=True)
class Safety:
    """What safety dropped, and what was found of personal data; never a picture, never a caption.

    Attributes:
        corpora: those with a drop.
        dropped: for every reason the number by corpus.
        personal: number of finds by kind; None where the run did not look for them.
    """

    corpora: list[str]
    dropped: dict[str, dict[str, int]]
    personal: dict[str, int] | None


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
    ordered = [{**step, "dropped": frequent_first(step["dropped"])} for step in steps]
    return Funnel(samples=steps[0]["in"], kept=steps[-1]["kept"], steps=ordered, merged=_merged(run))


def _merged(run: Path) -> int:
    import pyarrow.compute as pc

    if not (run / KEPT).is_file():
        return 0
    kept = read_kept(run, ["caption_uid", "picture_uid"])
    return pc.sum(pc.not_equal(kept.column("caption_uid"), kept.column("picture_uid"))).as_py() or 0


def read_galleries(config: ReportConfig, safety: SafetyConfig, catalogue: Catalogue) -> list[Gallery]:
    """Return some of what every reason dropped, the most frequent reason first; not for safety and duplicates."""
    dropped: dict[tuple[str, str], list[str]] = {}
    for row in catalogue.verdicts:
        if not row["kept"] and row["step"] not in (SAFETY, DUPLICATES):
            dropped.setdefault((row["step"], row["reason"]), []).append(row["uid"])
    chosen = {}
    for reason, uids in dropped.items():
        shown = [uid for uid in uids if catalogue.may_be_shown(uid)]
        chosen[reason] = evenly_spaced(shown, config.gallery)
    safe = set(seen_by_safety(safety, catalogue.run, [uid for uids in chosen.values() for uid in uids]))
    return [
        Gallery(
            step=step,
            reason=reason,
            total=len(dropped[step, reason]),
            tiles=[catalogue.tile(uid, config) for uid in chosen[step, reason] if uid in safe],
        )
        for step, reason in sorted(dropped, key=lambda key: (-len(dropped[key]), key))
    ]


def read_safety(run: Path, catalogue: Catalogue | None) -> Safety | None:
    """Return what safety dropped, or None where nothing has been selected."""
    if catalogue is None or not catalogue.verdicts:
        return None
    dropped: dict[str, Counter[str]] = {}
    for row in catalogue.verdicts:
        if row["step"] == SAFETY:
            dropped.setdefault(row["reason"], Counter())[catalogue.columns["corpus"][catalogue.row[row["uid"]]]] += 1
    frequent = frequent_first({reason: counted.total() for reason, counted in dropped.items()})
    path = run / "signals/catalogue.json"
    counts = files.read_json(path) if path.is_file() else {}
    return Safety(
        corpora=sorted({corpus for counted in dropped.values() for corpus in counted}),
        dropped={reason: dict(dropped[reason]) for reason in frequent},
        personal=counts.get("personal"),
    )
