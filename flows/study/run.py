"""Running a study: the data first, then the cells, then the verdicts; what is done already is found again."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.job import INTERRUPTION, REPORTER, Job
from flows.recipe import find_recipe, load_recipe
from flows.study.cells import Cell, curve_keys, do_cell, places_of, sets_of
from flows.study.config import Study, in_order, load_study
from flows.study.data import as_overrides, check_asked, curate, curated
from flows.study.results import check_scores, results_of
from pipeline import files
from pipeline.errors import DataError
from pipeline.parallel import ordered_map
from pipeline.workspace import Workspace, disk_faults_named


def run_study(path: Path, runs: Path, mirror: Path | None = None, *, jobs: int = 1) -> dict[str, Any]:
    """Run what is missing of a study and write ``results.json`` below ``runs/studies/<name>``.

    Args:
        path: the study file.
        runs: folder of run directories; curated data are found or made in it.
        mirror: as for a run.
        jobs: cells at a time, each on one thread; their number changes no result.

    Returns:
        The results, see `flows.study.results`.
    """
    return run_loaded(load_study(path), path, runs, mirror, jobs=jobs)


def run_loaded(study: Study, path: Path, runs: Path, mirror: Path | None = None, *, jobs: int = 1) -> dict[str, Any]:
    """Run a study that has been read from `path`; see `run_study`."""
    folder = runs.absolute() / "studies" / study.name
    with disk_faults_named(folder), Workspace(folder).lock(), INTERRUPTION.handled():
        data = curated(study, recipe_of(study, path), runs, mirror and mirror.absolute())
        cells = cells_of(study, path, folder, data)
        curate(list({job.run: job for job in data.values()}.values()))
        for trained, asked in {(cell.stages_of, cell.asked) for cell in cells}:
            check_asked(trained, asked)
        found = _done(study, path, cells, jobs)
        results = results_of(study, found)
        files.write_json(folder / "results.json", results)
    return results


def recipe_of(study: Study, path: Path) -> Path:
    """Return the recipe that a study file names: a file beside it, or one that comes with the project."""
    local = path.parent / study.recipe
    return local if local.is_file() else find_recipe(study.recipe)


def cells_of(study: Study, path: Path, folder: Path, data: Mapping[tuple[str, str], Job]) -> list[Cell]:
    """Return all cells of a study, arm by arm.

    All are asked what the baseline's data hold out, whatever they train on.

    Args:
        study: the study.
        path: of its file.
        folder: of its cells' runs.
        data: the job that curates the data of each (arm, budget).

    Raises:
        ConfigError: a key is unknown, or a value not possible.
    """
    return [
        _cell(study, path, folder, data, (arm, budget, seed))
        for arm in study.arms
        for budget in study.budgets
        for seed in study.seeds
    ]


Place = tuple[str, str, int]  # arm, budget, seed


def _cell(study: Study, path: Path, folder: Path, data: Mapping[tuple[str, str], Job], place: Place) -> Cell:
    arm, budget, seed = place
    curation, asked = data[arm, budget], data[study.baseline, budget].run
    own = {**study.overrides(arm, budget), "train.seed": seed, "train.threads": 1, **curve_keys(study.curve)}

    def model_of(other: str) -> str:
        of_model = {k: v for k, v in study.overrides(other, budget).items() if k.partition(".")[0] == "model"}
        name = load_recipe(curation.recipe, as_overrides(of_model)).model.name
        return str(_run_of(study, folder, (other, budget, seed)) / "models" / name)

    run = _run_of(study, folder, place)
    job = curation.model_copy(update={"run": run, "overrides": as_overrides(_resolved(own, model_of))})
    job.load()
    recipe = load_recipe(curation.recipe).model_dump(mode="json")
    return Cell(
        arm=arm,
        budget=budget,
        seed=seed,
        job=job,
        stages_of=curation.run,
        asked=asked,
        measures=places_of(study.all_scores, path.parent.absolute(), asked / "stages"),
        probes=sets_of(study.all_scores),
        declared=files.digest({"recipe": recipe, "keys": own}),
    )


def _run_of(study: Study, folder: Path, place: Place) -> Path:
    """Return the run directory of a cell: ``<arm>-<seed>``, with the budget between where there are several."""
    arm, budget, seed = place
    return folder / "-".join([arm, *([budget] if len(study.budgets) > 1 else []), str(seed)])


def _resolved(value: Any, model_of: Callable[[str], str]) -> Any:
    """Return a value with the folder of an arm's model for every ``{arm: NAME}``."""
    if isinstance(value, dict):
        if value.keys() == {"arm"}:
            return model_of(str(value["arm"]))
        return {key: _resolved(entry, model_of) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(entry, model_of) for entry in value]
    return value


def _done(study: Study, path: Path, cells: Sequence[Cell], jobs: int) -> list[dict[str, Any]]:
    """Do all cells, those first whose models others use, and return what they say in the order of `cells`."""
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for arms in in_order(study, path):
        now = [cell for cell in cells if cell.arm in arms]
        done = ordered_map(do_cell, now, workers=min(jobs, len(now)), crashed=_crashed, window=4 * jobs)
        for cell, record in zip(now, done, strict=True):
            if not found:
                check_scores(study, record)
            found[cell.arm, cell.budget, cell.seed] = record
            REPORTER.note(_line(len(found), len(cells), study, record))
    return [found[cell.arm, cell.budget, cell.seed] for cell in cells]


def _line(number: int, total: int, study: Study, record: Mapping[str, Any]) -> str:
    budget = f" {record['budget']}" if len(study.budgets) > 1 else ""
    seconds = record["seconds"]["train"]
    return f"  {number}/{total}  {record['arm']}{budget}, seed {record['seed']}: {seconds:.0f} s of training"


def _crashed(cell: Cell) -> dict[str, Any]:
    raise DataError(
        f"{cell.job.run}: its process died twice, perhaps for lack of memory; the same command goes on from there, "
        "with fewer --jobs it takes less"
    )
