"""A run on a cluster of two workers, one of which is killed in the middle of a step: the bytes of one machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from own_folder import RECIPE, essen, write_own_folder

from flows.recipe import load_recipe, recipe_text
from flows.runner import RunnerConfig, task_runner
from pipeline.errors import ConfigError
from pipeline.files import files_below, sha256_file

# A plug-in that measures nothing, and kills the first process that calls it where the test asks for that.
DEADLY = """
import os
import signal
from pathlib import Path


def share(pixels):
    marker = os.environ.get("KILLS_ONCE")
    if marker:
        try:
            Path(marker).touch(exist_ok=False)
        except FileExistsError:
            return 0.0
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.0
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures with a recipe that measures them by the plug-in."""
    folder = tmp_path_factory.mktemp("own")
    write_own_folder(folder, RECIPE + "measure: {text_plugin: 'deadly:share'}\n")
    (folder / "deadly.py").write_text(DEADLY)
    return folder


PARTS = ("raw", "signals", "embeddings", "selection", "curriculum", "stages", "recipe.yaml")


def staged(own: Path, name: str, *options: str, **environment: str) -> tuple[dict[str, str], str]:
    """Stage in a run of its own; return the hash of every file from raw shards to staged ones, and what was said."""
    run = own / name
    done = subprocess.run(
        [Path(sys.executable).with_name("essen"), "stage", own / "mine.yaml", "--run", run, *options],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(own), "OMP_NUM_THREADS": "1", **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept = [file for part in PARTS for file in files_below(run / part)]
    return {str(file.relative_to(run)): sha256_file(file) for file in kept}, done.stderr


@pytest.fixture(scope="module")
def alone(own: Path) -> dict[str, str]:
    return staged(own, "alone", "--engine", "local")[0]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_killed_workers_part_is_done_again_and_the_bytes_are_those_of_one_machine(
    own: Path, alone: dict[str, str], engine: str
) -> None:
    pytest.importorskip("prefect_dask" if engine == "dask" else "prefect_ray", reason=f"pip install 'essen[{engine}]'")
    runner = json.dumps({"engine": engine, "workers": 2})
    marker = own / f"killed-{engine}"
    options = ("--engine", "prefect", "--set", f"runner={runner}")
    found, shown = staged(own, engine, *options, KILLS_ONCE=str(marker))
    assert marker.is_file()
    assert found == alone
    assert "done here" not in shown
    assert "Traceback" not in shown
    assert not list((own / engine / ".part").glob("*/parts/*/*"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_cluster_that_is_there_is_used(own: Path, alone: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("prefect_dask", reason="pip install 'essen[dask]'")
    from distributed import LocalCluster

    monkeypatch.syspath_prepend(str(own))  # handed on to processes that are spawned
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        runner = json.dumps({"engine": "dask", "address": cluster.scheduler_address})
        found, shown = staged(own, "there", "--engine", "prefect", "--set", f"runner={runner}")
    assert found == alone
    assert "done here" not in shown


def test_the_runner_is_no_part_of_what_a_run_is_known_by(own: Path) -> None:
    plain = load_recipe(own / "mine.yaml")
    placed = load_recipe(own / "mine.yaml", ["runner.engine=dask", "runner.address=tcp://10.0.0.1:8786"])
    assert placed.runner.elsewhere
    assert placed.model_dump() == plain.model_dump()
    assert recipe_text(placed) == recipe_text(plain)


def test_an_engine_that_does_not_use_the_runner_says_so(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert essen("acquire", own / "mine.yaml", "--run", own / "here", "--set", "runner.engine=dask") == 0
    assert "the recipe's runner (dask) is not used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("runner.engine=dusk", "runner.engine"),
        ("runner.address=tcp://here:1", "set engine to dask or ray"),
        ("runner={engine: dask, address: here}", "with its port"),
        ("runner={engine: ray, workers: 0}", "runner.workers"),
    ],
)
def test_a_runner_that_cannot_be_is_named(own: Path, override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_recipe(own / "mine.yaml", [override])


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_cluster_that_is_not_there_is_named(engine: str) -> None:
    with pytest.raises(ConfigError, match=r"nothing answers at tcp://127\.0\.0\.1:9"):
        task_runner(RunnerConfig(engine=engine, address="tcp://127.0.0.1:9"))


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_missing_extra_is_named(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"prefect_{engine}.task_runners", None)
    with pytest.raises(ConfigError, match=rf"pip install 'essen\[{engine}\]'"):
        task_runner(RunnerConfig(engine=engine))
