"""What was published of a small run, what its samples are, and a place where each client tells what it has read."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from environments import client_environment
from matrix import Row, markdown

from pipeline.acquire.card import Card
from pipeline.cards.config import CardConfig, PublishConfig
from pipeline.cards.datacard import write_cards
from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.order import order
from pipeline.files import sha256_bytes
from pipeline.publish import publish
from pipeline.shards.config import StageConfig
from pipeline.shards.read import ShardReader, open_stages
from pipeline.shards.stage import stage
from pipeline.workspace import Step, Workspace

HERE = Path(__file__).parent
make_run = runpy.run_path(str(HERE.parent / "pipeline/conftest.py"))["make_run"]
Samples = dict[str, tuple[str, str]]  # uid → sha256 of the picture's bytes, caption


def card(name: str) -> Card:
    words = {"title": name.title(), "licence": "MIT", "attribution": "The painters", "child_directed": True}
    source = {"engine": "folder", "path": "pictures"}
    return Card(name=name, **words, redistributable=True, source=source, body="", path=Path())  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `publish` makes of a run with 160 drawings in two stages and two evaluation sets."""
    folder = tmp_path_factory.mktemp("clients")
    run = make_run(folder / "run")
    order(CurriculumConfig(stages=("one", "two")), run, run)
    cards, config = [card(name) for name in ("shapes", "lines")], CardConfig(name="small", published="2026-11-22")
    workspace = Workspace(run)
    workspace.run(
        Step(
            name="stage",
            function=lambda out: stage(StageConfig(image_size=32), run, out, workers=1),
            outputs=("stages",),
        )
    )
    dumped = [source.model_dump(mode="json", exclude={"path"}) for source in cards]
    workspace.run(
        Step(
            name="card",
            function=lambda out: write_cards(config, run, out, sources=cards),
            outputs=("card",),
            inputs=("stage",),
            params={"config": config.model_dump(mode="json"), "cards": dumped},
        )
    )
    assert publish(PublishConfig(), run, folder / "published")["kept"] == 160
    return folder / "published"


@pytest.fixture(scope="session")
def expected(published: Path) -> dict[str, Samples]:
    """The samples of every set, by the set's folder, read through the index and not through any client."""
    stages = open_stages(published)
    found = {}
    for part in (*stages.stages, *stages.evaluation.values()):
        reader, captions = ShardReader(part), part.column("caption")
        found[part.entry["path"]] = {
            uid: (sha256_bytes(reader.read(row)), captions[row]) for row, uid in enumerate(part.column("uid"))
        }
    assert [len(samples) for samples in found.values()] == [64, 56, 20, 20]
    return found


@pytest.fixture(scope="session")
def train(expected: dict[str, Samples]) -> Samples:
    """The samples of all stages."""
    return {**expected["1-one"], **expected["2-two"]}


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Iterator[Callable[[str, str, str, int | None], None]]:
    """A function that notes a client, its version, how it reads and how many samples it had right.

    The notes of a session are ``clients.json`` and ``clients.md`` in the folder ``clients`` of pytest's cache.
    """
    rows: list[Row] = []
    yield lambda *facts: rows.append(Row(*facts))
    folder = pytestconfig.cache.mkdir("clients")  # type: ignore[union-attr]
    (folder / "clients.json").write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")
    (folder / "clients.md").write_text(markdown(rows))


@pytest.fixture(scope="session")
def read_apart(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs one of ``readers.py`` in a process of its own, before all else with some packages."""

    def read(reader: str, *arguments: str | Path, packages: str = "") -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(client_environment(packages)) if packages else "",
            "CROISSANT_CACHE": str(tmp_path_factory.mktemp("croissant")),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, str(HERE / "readers.py"), reader, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    return read
