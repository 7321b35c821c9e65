"""The results of a study: run, or as they are there."""

from pathlib import Path
from typing import Any

from pipeline.report.studies import read_results


def results_for(path: Path, runs: Path, mirror: Path | None, *, jobs: int, only_there: bool) -> dict[str, Any]:
    """Return the results of a study file, after what is missing has been run, or those that a results file holds.

    Raises:
        ConfigError: the study is not valid, or there are no results to be shown.
    """
    if path.suffix == ".json":
        return read_results(path)
    from flows.study.config import load_study

    if only_there:
        return read_results(runs / "studies" / load_study(path).name / "results.json")
    from flows.study.run import run_study

    return run_study(path, runs, mirror, jobs=jobs)
