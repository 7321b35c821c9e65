"""From the cells of a study to its results: scores by name, differences from the baseline, verdicts.

``results.json``, format ``essen-study/1``::

    {"format", "study": the study file as it was read, "code": {"version", "commit": null outside a checkout},
     "cells": [{"arm", "budget", "seed", "config", "data": digests, "weights_sha256", "parameters",
       "scores": {name: {"value", "censored"}}, "controls": {"chance", "untrained", "shuffled"}, "gallery",
       "probe": by set, see `essen.evaluate.skill` (only where a score asks for it),
       "spent": see `essen.budget`, "seconds": by step, "curve": [{"step", "examples", "flops", "recall"}]}],
     "differences": [{"arm", "against", "budget", "n", "mean", "deviation", "interval"}],
     "claims": see `essen.evaluate.claims`}

Tables and figures are made from this file alone (`pipeline.report.studies`).
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flows.study.cells import mean_logged
from flows.study.config import (
    AnyScore,
    CostScore,
    LoggedScore,
    MeasureScore,
    ProbeScore,
    ReachedScore,
    RecallScore,
    Study,
)
from pipeline.errors import ConfigError
from pipeline.report.studies import FORMAT

WAYS = ("text_to_image", "image_to_text")
CONTROLS = ("chance", "untrained", "shuffled")
Cells = Sequence[Mapping[str, Any]]


def results_of(study: Study, cells: Cells) -> dict[str, Any]:
    """Return the results of a study.

    Args:
        study: the study.
        cells: of all of its cells, see `flows.study.cells.read_cell`.

    Raises:
        ConfigError: there is no such set, measure or number as a score names.
    """
    scored = [_with_scores(study, cell, cells) for cell in cells]
    return {
        "format": FORMAT,
        "study": study.model_dump(mode="json", exclude_defaults=True),
        "code": code(),
        "cells": scored,
        "differences": _differences(study, scored),
        "claims": _claims(study, scored),
    }


def check_scores(study: Study, cell: Mapping[str, Any]) -> None:
    """Raise unless a finished cell has what all scores name, before others are run.

    Raises:
        ConfigError: there is no such set, measure or number as a score names.
    """
    for name, score in study.all_scores.items():
        if not isinstance(score, ReachedScore | LoggedScore):  # these are other cells' affair, or one sampler's
            _value(name, score, cell, ())


def code() -> dict[str, str | None]:
    """Return the version of the project and, in a checkout, its commit; ``+`` where files differ from it."""
    return {"version": version("essen"), "commit": _commit(Path(__file__))}


def _commit(file: Path) -> str | None:
    """Return the commit of the checkout that a file is part of, or None."""
    git = shutil.which("git")
    if git is None:
        return None

    def said(*arguments: str) -> str | None:
        done = subprocess.run([git, *arguments], cwd=file.parent, capture_output=True, text=True, check=False)
        return None if done.returncode else done.stdout.strip()

    # An installed copy may lie below somebody else's checkout.
    if said("ls-files", "--error-unmatch", file.name) is None:
        return None
    return said("describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*")


def _with_scores(study: Study, cell: Mapping[str, Any], cells: Cells) -> dict[str, Any]:
    """Return what is kept of a cell: its scores in place of all that was measured."""
    kept = {key: value for key, value in cell.items() if key not in ("sets", "logged", "measures")}
    scores = {name: _value(name, score, cell, cells) for name, score in study.all_scores.items()}
    return {**kept, "scores": scores, **_controls(study.score, cell)}


def _value(name: str, score: AnyScore, cell: Mapping[str, Any], cells: Cells) -> dict[str, Any]:
    censored = False
    if isinstance(score, RecallScore):
        value = _recall(f"{name}: ", score, cell["sets"], score.row)
    elif isinstance(score, MeasureScore):
        value = _measure(name, score, cell["measures"])
    elif isinstance(score, ProbeScore):
        value = _probe(score, cell["probe"][score.set])
    elif isinstance(score, LoggedScore):
        found = mean_logged(cell["logged"], score.key, score.start)
        if found is None:
            raise ConfigError(f"{name}: the training of {cell['arm']} logs no {score.key}")
        value = found
    elif isinstance(score, CostScore):
        value = _cost(name, score, cell)
    else:
        value, censored = _reached(score, cell, cells)
    return {"value": value, "censored": censored}


def _recall(place: str, score: RecallScore, sets: Mapping[str, Any], row: str) -> float:
    if score.set not in sets:
        raise ConfigError(f"{place}there is no set {score.set}; the sets are {', '.join(sets)}")
    ways = WAYS if score.direction == "mean" else (score.direction,)
    rows = [sets[score.set][way] for way in ways]
    if any(row not in found for found in rows):
        raise ConfigError(f"{place}there is no row {row}; it needs a fusion and evaluate.rerank_top above 0")
    return float(sum(found[row][str(score.k)] for found in rows) / len(rows))


def _measure(name: str, score: MeasureScore, sets: Sequence[Mapping[str, Any]]) -> float:
    known = [
        (part["name"], entry["measure"], entry["scorer"], entry["value"]) for part in sets for entry in part["scores"]
    ]
    for *place, value in known:
        if tuple(place) == (score.set, score.measure, score.scorer):
            return float(value)
    there = ", ".join(sorted({f"{measure} by {scorer} on {part}" for part, measure, scorer, _ in known}))
    raise ConfigError(
        f"{name}: there is no {score.measure} by {score.scorer} on {score.set}, but: {there or 'nothing'}"
    )


def _probe(score: ProbeScore, skill: Mapping[str, Any]) -> float:
    return float(skill["after"] - skill["before"] if score.of == "change" else skill[score.of])


def _cost(name: str, score: CostScore, cell: Mapping[str, Any]) -> float:
    if score.of == "seconds":
        return float(cell["seconds"]["train"])
    spent = cell["spent"]
    value = spent["flops"]["total"] if score.of == "total_flops" else spent[score.of]
    if value is None:
        raise ConfigError(f"{name}: {score.of} of {cell['arm']} is not known; remove its run to train again")
    return float(value)


def _reached(score: ReachedScore, cell: Mapping[str, Any], cells: Cells) -> tuple[float, bool]:
    from essen.evaluate.paired import first_reach

    target = score.target
    if isinstance(target, str):
        place = (target, cell["budget"], cell["seed"])
        other = next(entry for entry in cells if (entry["arm"], entry["budget"], entry["seed"]) == place)
        target = other["curve"][-1]["recall"]
    found = first_reach([(point[score.cost], point["recall"]) for point in cell["curve"]], target)
    return found.value, found.censored


def _controls(score: AnyScore, cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return what would score as well without having learnt anything, where the primary score is a recall."""
    if not isinstance(score, RecallScore):
        return {}
    controls = {row: _recall("", score, cell["sets"], row) for row in CONTROLS}
    way = "text_to_image" if score.direction == "mean" else score.direction
    return {"controls": controls, "gallery": cell["sets"][score.set][way]["gallery"]}


def _runs(study: Study, cells: Cells, arm: str, budget: str) -> Cells:
    """Return the cells of an arm at a budget in the order of the study's seeds."""
    own = {cell["seed"]: cell for cell in cells if (cell["arm"], cell["budget"]) == (arm, budget)}
    return [own[seed] for seed in study.seeds]


def _differences(study: Study, cells: Cells) -> list[dict[str, Any]]:
    """Return each arm's difference from the first in the primary score, paired by seed; these are no claims."""
    from essen.evaluate.paired import paired

    found = []
    for budget in study.budgets:
        base, *others = (
            (arm, [cell["scores"]["primary"]["value"] for cell in _runs(study, cells, arm, budget)])
            for arm in study.arms
        )
        for arm, values in others:
            pairs = paired(values, base[1])
            about = {"n": pairs.n, "mean": pairs.mean, "deviation": pairs.deviation, "interval": pairs.interval()}
            found.append({"arm": arm, "against": base[0], "budget": budget, **about})
    return found


def _claims(study: Study, cells: Cells) -> list[dict[str, Any]]:
    from essen.evaluate.claims import judge
    from essen.evaluate.paired import Reached

    first = next(iter(study.budgets))
    values = {
        claim.id: {
            arm: [
                Reached(cell["scores"][claim.score]["value"], cell["scores"][claim.score]["censored"])
                for cell in _runs(study, cells, arm, claim.budget or first)
            ]
            for arm in claim.named
        }
        for claim in study.claims
    }
    return judge(study.claims, values)
