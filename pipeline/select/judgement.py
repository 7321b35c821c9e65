"""How a rule of duplicates does on copies that are known: on one half thresholds are chosen, on the other it is judged.

The halves are those of the source pictures, by a seeded hash, so that all copies of a picture are in one. Curves and
the suggested thresholds see the half for choosing alone; recall and false merges are told of both, and only those of
the half for reporting say what is to be expected of other pictures.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import TYPE_CHECKING, Any

from pipeline.select.config import DuplicateConfig
from pipeline.select.duplicates import Scores, reasons, tiers
from pipeline.select.pictures import Gallery

if TYPE_CHECKING:
    import numpy as np

# What is swept for each tier, the rest of the rule as it is.
SWEEPS: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "perceptual": ("hamming", tuple(range(0, 33, 2))),
    "semantic": ("cosine", (*(round(0.8 + 0.02 * step, 2) for step in range(10)), 0.99)),
    "lines": ("same_lines", (*(round(0.5 + 0.05 * step, 2) for step in range(10)), 0.99)),
    "redrawn": ("weakest", tuple(round(0.1 * step, 1) for step in range(10))),
}
# What the suggestion chooses among: where lines must agree, of paintings and of outlines.
CHOICES: Mapping[str, tuple[float, ...]] = {
    "weakest": tuple(round(0.4 + 0.05 * step, 2) for step in range(9)),
    "outline_weakest": tuple(round(0.1 + 0.05 * step, 2) for step in range(9)),
}
TIERS = ("exact", *SWEEPS, "combined")
LABELLED = "labelled "  # trials of which only the true pairs are known


@dataclass(frozen=True, slots=True)
class Trial:
    """Pairs of pictures with what is known of them.

    Attributes:
        name: transform or relation.
        gallery: the pictures.
        scores: of the P pairs that a run would compare.
        true: (P,) booleans: a copy and its original.
        reported: (P,) booleans: the source picture is in the half for reporting.
        known: number of copies, or of pairs that are none, in the halves for choosing and for reporting; those
            included that no pair holds.
        previews: a small picture for people, encoded, by image hash.
    """

    name: str
    gallery: Gallery
    scores: Scores
    true: "np.ndarray"
    reported: "np.ndarray"
    known: tuple[int, int]
    previews: Mapping[str, bytes]

    def only(self, rows: "np.ndarray") -> "Trial":
        """Return the trial with some of its pairs, given as (P,) booleans."""
        scores = Scores(**{each.name: getattr(self.scores, each.name)[rows] for each in fields(Scores)})
        return Trial(self.name, self.gallery, scores, self.true[rows], self.reported[rows], self.known, self.previews)

    def half(self, reported: bool) -> "Trial":
        """Return the half for reporting, or that for choosing; the other one counts nothing."""
        part = self.only(self.reported == reported)
        known = (0, self.known[1]) if reported else (self.known[0], 0)
        return Trial(part.name, part.gallery, part.scores, part.true, part.reported, known, part.previews)


def is_reported(seed: int, source: str) -> bool:
    """Tell whether a source picture belongs to the half for reporting."""
    return bool(hashlib.sha256(f"{seed}:{source}".encode()).digest()[0] & 1)


def halves(reported: Sequence[bool]) -> tuple[int, int]:
    """Return how many are in the halves for choosing and for reporting."""
    return len(reported) - sum(reported), sum(reported)


def judge(rule: DuplicateConfig, trials: Sequence[Trial], pages: Trial | None, tolerance: float) -> dict[str, Any]:
    """Return what a rule finds.

    Args:
        trials: copies and their originals.
        pages: pairs of which none is true.
        tolerance: largest share of wrong merges that a suggestion may make.

    Returns:
        ``copies`` and ``consecutive`` of the half for reporting; ``choosing`` with the same of the half for choosing;
        ``curves`` of the half for choosing; and ``suggested`` thresholds with the same of both halves.
    """
    halved = {reported: [trial.half(reported) for trial in trials] for reported in (False, True)}
    none = {reported: pages.half(reported) if pages else None for reported in (False, True)}
    suggested = suggest(rule, halved[False], none[False], tolerance)
    better = rule.model_copy(update=suggested)
    return {
        **_told(rule, halved[True], none[True]),
        "choosing": _told(rule, halved[False], none[False]),
        "curves": {tier: _curve(rule, tier, halved[False], none[False]) for tier in SWEEPS},
        "suggested": {
            "thresholds": suggested,
            "tolerance": tolerance,
            "choosing": _told(better, halved[False], none[False]),
            "reporting": _told(better, halved[True], none[True]),
        },
    }


def suggest(rule: DuplicateConfig, trials: Sequence[Trial], pages: Trial | None, tolerance: float) -> dict[str, float]:
    """Return the thresholds of `CHOICES` that find most, as a mean over the kinds of copies, and merge little wrongly.

    No more than `tolerance` of the pairs that are none, and of the pairs found of which both kinds are known, may be
    wrong; of equal thresholds the strictest are taken, and the rule's own where all are too loose.
    """
    best, chosen = -1.0, {name: getattr(rule, name) for name in CHOICES}
    for values in product(*(reversed(choice) for choice in CHOICES.values())):
        thresholds = dict(zip(CHOICES, values, strict=True))
        tried = rule.model_copy(update=thresholds)
        right, found, recall = 0, 0, []
        for trial in trials:
            merged = reasons(tried, trial.scores) != ""
            hits = int((merged & trial.true).sum())
            recall.append(hits / max(1, sum(trial.known)))
            if not trial.name.startswith(LABELLED):
                right, found = right + hits, found + int(merged.sum())
        wrong = found - right
        merged_pages = int((reasons(tried, pages.scores) != "").sum()) if pages else 0
        tolerable = wrong <= tolerance * found and merged_pages <= tolerance * (sum(pages.known) if pages else 0)
        mean = sum(recall) / max(1, len(recall))
        if tolerable and mean > best:
            best, chosen = mean, thresholds
    return chosen


def summary(result: Mapping[str, Any]) -> list[str]:
    """Return the lines that a command prints.

    Recall and precision of every copy by tier at the rule's thresholds, and recall in both halves with intervals.
    """
    lines = [f"{'recall % / precision %':24}" + "".join(f"{name:>14}" for name in TIERS)]
    for row in result["copies"]:
        cells = []
        for name in TIERS:
            precision = row["tiers"][name]["precision"]
            shown = "   –" if precision is None else f"{100 * precision:4.0f}"
            cells.append(f"{100 * row['tiers'][name]['recall']:7.1f} /{shown} ")
        lines.append(f"{row['name']:24}" + "".join(f"{cell:>14}" for cell in cells))
    if result["consecutive"]:
        merged = result["consecutive"]["merged"]
        rates = "".join(f"{100 * merged[name]:13.2f} " for name in TIERS)
        lines.append(f"{'merged story pages, %':24}{rates}")
    suggested = result["suggested"]
    lines += ["", *_both("the rule's thresholds", result["choosing"], result)]
    thresholds = ", ".join(f"{name} {value:g}" for name, value in suggested["thresholds"].items())
    return [*lines, "", *_both(f"suggested: {thresholds}", suggested["choosing"], suggested["reporting"])]


def _both(title: str, choosing: Mapping[str, Any], reporting: Mapping[str, Any]) -> list[str]:
    """Return lines with the shares of both halves, and their 95 % intervals."""
    lines = [f"{title:32}{'half for choosing':>32}{'half for reporting':>32}"]
    for one, other in zip(choosing["copies"], reporting["copies"], strict=True):
        cells = [_share(row["tiers"]["combined"]["recall"], row["interval"], row["known"]) for row in (one, other)]
        lines.append(f"{one['name']:32}" + "".join(f"{cell:>32}" for cell in cells))
    if choosing["consecutive"]:
        pages = [each["consecutive"] for each in (choosing, reporting)]
        cells = [_share(each["merged"]["combined"], each["interval"], each["pairs"]) for each in pages]
        lines.append(f"{'merged story pages':32}" + "".join(f"{cell:>32}" for cell in cells))
    return lines


def _share(share: float, interval: Sequence[float], number: int) -> str:
    digits = 1 if share >= 0.01 else 2
    low, high = (100 * bound for bound in interval)
    return f"{100 * share:.{digits}f} % [{low:.{digits}f}, {high:.{digits}f}] of {number:,}"


def _told(rule: DuplicateConfig, trials: Sequence[Trial], pages: Trial | None) -> dict[str, Any]:
    return {
        "copies": [_copies(rule, trial) for trial in trials],
        "consecutive": _pages(rule, pages) if pages else None,
    }


def _copies(rule: DuplicateConfig, trial: Trial) -> dict[str, Any]:
    """Return recall and precision of a kind of copies by tier; ``interval`` is that of the combined recall."""
    found, known = by_tier(rule, trial), sum(trial.known)
    return {
        "name": trial.name,
        "known": known,
        "tiers": {tier: _recall(trial, pairs) for tier, pairs in found.items()},
        "interval": wilson(int((found["combined"] & trial.true).sum()), known),
    }


def _recall(trial: Trial, found: "np.ndarray") -> dict[str, float | None]:
    """Return recall and precision; no precision where nothing was found, or only true pairs are known."""
    right, all_found = int((found & trial.true).sum()), int(found.sum())
    known = not trial.name.startswith(LABELLED)
    return {
        "recall": round(right / max(1, sum(trial.known)), 4),
        "precision": round(right / all_found, 4) if all_found and known else None,
    }


def _pages(rule: DuplicateConfig, pages: Trial) -> dict[str, Any]:
    found, known = by_tier(rule, pages), sum(pages.known)
    return {
        "pairs": known,
        "merged": {tier: round(int(pairs.sum()) / max(1, known), 6) for tier, pairs in found.items()},
        "interval": wilson(int(found["combined"].sum()), known),
    }


def _curve(rule: DuplicateConfig, tier: str, trials: Sequence[Trial], pages: Trial | None) -> dict[str, Any]:
    field, thresholds = SWEEPS[tier]
    rules = [rule.model_copy(update={field: threshold}) for threshold in thresholds]
    return {
        "field": field,
        "chosen": getattr(rule, field),
        "thresholds": list(thresholds),
        "copies": {trial.name: [_recall(trial, by_tier(each, trial)[tier]) for each in rules] for trial in trials},
        "merged": [_pages(each, pages)["merged"][tier] for each in rules] if pages else [],
    }


def by_tier(rule: DuplicateConfig, trial: Trial) -> "dict[str, np.ndarray]":
    """Return which pairs each tier merges, and which the rule merges in all, as (P,) booleans."""
    return {**tiers(rule, trial.scores), "combined": reasons(rule, trial.scores) != ""}


def wilson(hits: int, number: int) -> list[float]:
    """Return the 95 % interval of a share by Wilson's score; 0 to 1 where nothing is known."""
    from scipy.stats import binomtest

    if not number:
        return [0.0, 1.0]
    interval = binomtest(hits, number).proportion_ci(method="wilson")
    return [round(float(interval.low), 4), round(float(interval.high), 4)]
