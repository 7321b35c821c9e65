"""One cell of a study: an arm at a budget with a seed is a small run of its own, with a training and its scores.

Killed anywhere, a cell goes on from its last step or checkpoint. It computes on one thread, whoever does it, so a study
gives the same numbers in one process and in several.
"""

import contextlib
import json
import math
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.job import INTERRUPTION, Job
from flows.plan import training
from flows.study.config import Curve, MeasureScore, ProbeScore
from flows.study.probe import FILE as PROBE
from flows.study.probe import probe_step
from pipeline import files
from pipeline.config import Config
from pipeline.workspace import Counts, Step, Workspace

FAR = 10**6  # examinations without a better one: early stopping that never stops


class Cell(Config):
    """What a worker needs to know.

    Attributes:
        arm, budget, seed: which cell it is.
        job: its recipe, and its run directory.
        stages_of: the run whose stages are trained on.
        asked: the run whose held-out sets are scored and examined.
        measures: places to score the model on besides, with what `essen.evaluate.score` has for them.
        probes: held-out sets whose pictures' categories a probe of the vision tower is asked for.
        declared: digest of the cell's configuration, with arms by their names.
    """

    arm: str
    budget: str
    seed: int
    job: Job
    stages_of: Path
    asked: Path
    measures: tuple[Path, ...]
    probes: tuple[str, ...]
    declared: str


def curve_keys(curve: Curve | None) -> dict[str, Any]:
    """Return the recipe keys that give a learning curve and leave the training as it is."""
    if curve is None:
        return {}
    return {
        "train.stopping": {"patience": FAR, "every": curve.every, "split": curve.split, "keep": "last"},
    }


def places_of(scores: dict[str, Any], folder: Path, stages: Path) -> tuple[Path, ...]:
    """Return what some scores' measures are taken on, each place once."""
    wanted = [score.on for score in scores.values() if isinstance(score, MeasureScore)]
    return tuple(dict.fromkeys(folder / on if on else stages for on in wanted))


def sets_of(scores: dict[str, Any]) -> tuple[str, ...]:
    """Return the sets that some scores probe the vision tower on, each once."""
    return tuple(dict.fromkeys(score.set for score in scores.values() if isinstance(score, ProbeScore)))


def do_cell(cell: Cell) -> dict[str, Any]:
    """Do what is missing of a cell, and return what its results say; a function of the cell alone, but for seconds."""
    from essen.computing import threads

    run = Workspace(cell.job.run)
    # A worker leaves signals to the process that started it, which ends it.
    alone = multiprocessing.parent_process() is None
    with threads(1), INTERRUPTION.handled() if alone else contextlib.nullcontext():
        for step in steps_of(cell):
            run.run(step)
    return read_cell(cell)


def steps_of(cell: Cell) -> list[Step]:
    """Return the steps of a cell: train, evaluate and, where a score asks for them, probe and score."""
    recipe = cell.job.load()
    around = replace(cell.job.surroundings(), progress=lambda *_: None)  # a line a cell is enough
    steps = training(recipe, around, stages_of=cell.stages_of, asked=cell.asked)
    model = cell.job.run / "models" / recipe.model.name
    if cell.probes:
        steps.append(probe_step(recipe, model, cell.probes, cell.asked))
    if not cell.measures:
        return steps
    from flows.scoring import score_model

    def score(out: Path) -> Counts:
        record = score_model(str(model), cell.measures, target=out / "reports/scores.json")
        return {"sets": len(record["sets"])}

    places = [str(place) for place in cell.measures]
    asked = Workspace(cell.asked).record("stage")
    params = {"places": places, "asked": files.digest(asked["outputs"] if asked else None)}
    return [
        *steps,
        Step(name="score", function=score, outputs=("reports/scores.json",), inputs=("train",), params=params),
    ]


def read_cell(cell: Cell) -> dict[str, Any]:
    """Return what a finished cell's files say.

    Returns:
        ``arm``, ``budget``, ``seed``, ``config`` and ``data`` (digests), ``spent`` (see `essen.budget`), ``seconds`` by
        step, ``curve`` (a list of ``step``, ``examples``, ``flops``, ``recall``), ``sets`` (recalls of ``trained`` and
        ``reranked``, and of the controls ``chance``, ``untrained``, ``shuffled``, by set, direction, row and k),
        ``logged`` (lines of the log) and ``measures``; the last two only while a study is judged. Where a score asks
        for it, ``probe`` (see `essen.evaluate.skill.tower_skill`) by set.
    """
    from essen.budget import spent_by
    from flows.plan import TRAIN

    run, recipe = cell.job.run, cell.job.load()
    records = {name: Workspace(run).record(name) for name in (*TRAIN, "probe", "score")}
    train = records["train"]
    assert train is not None, "just done"
    model = run / "models" / recipe.model.name
    learning = recipe.train.at(cell.job.surroundings().folder)
    spent = spent_by(recipe.model, learning, train["counts"], model, cell.stages_of / "stages")
    log = [json.loads(line) for line in (model / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    scored = run / "reports/scores.json"
    evaluation = files.read_json(run / "reports/evaluation.json")
    return {
        "arm": cell.arm,
        "budget": cell.budget,
        "seed": cell.seed,
        "config": cell.declared,
        "data": train["params"]["stages"],
        "weights_sha256": evaluation["model"]["weights_sha256"],
        "parameters": train["counts"]["parameters"],
        "spent": spent,
        "seconds": {name: record["seconds"] for name, record in records.items() if record is not None},
        "curve": curve_of(log, spent),
        "sets": recalls_of(evaluation),
        "logged": log,
        "measures": files.read_json(scored)["sets"] if cell.measures and scored.is_file() else [],
        **({"probe": files.read_json(run / PROBE)} if cell.probes else {}),
    }


def curve_of(log: list[dict[str, Any]], spent: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the learning curve; FLOPs are taken to be spent evenly over the steps."""
    return [
        {
            "step": line["step"],
            "examples": line["step"] * spent["seen"] // spent["steps"],
            "flops": line["step"] * spent["flops"]["total"] // spent["steps"],
            "recall": line["held_out_recall"],
        }
        for line in log
        if "held_out_recall" in line
    ]


def recalls_of(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the recalls of an ``evaluation.json`` by set, direction, row and k."""
    return {
        part["name"]: {
            way["direction"]: {
                "gallery": way["gallery"],
                **{row["row"]: {k: entry["value"] for k, entry in row["recall"].items()} for row in way["rows"]},
            }
            for way in part["directions"]
        }
        for part in evaluation["sets"]
    }


def mean_logged(log: list[dict[str, Any]], key: str, start: float) -> float | None:
    """Return the mean of a logged number after a share of the steps; None where it is never logged."""
    last = max((line["step"] for line in log), default=0)
    found = []
    for line in log:
        value: Any = line if line["step"] > start * last else {}
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, int | float):
            found.append(float(value))
    return math.fsum(found) / len(found) if found else None
