"""What was published of a small run, what its samples are, and a way for each client to tell what it has read."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from environments import client_environment
from matrix import CLIENTS
from readers import Read, Samples, Tell

from essen.config import EvaluateConfig, ModelConfig, NoFusionConfig, TextConfig, VisionConfig
from essen.export import save_model
from essen.export.export import export_model
from essen.model import build_model
from essen.tokenizer import train_tokenizer
from pipeline.acquire.card import Card
from pipeline.cards.config import CardConfig, PublishConfig
from pipeline.cards.datacard import write_cards
from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.order import order
from pipeline.files import sha256_bytes
from pipeline.measure.config import EmbedConfig
from pipeline.measure.vectors import IMAGES, write_vectors
from pipeline.publish import publish
from pipeline.shards.config import StageConfig
from pipeline.shards.read import ShardReader, open_stages
from pipeline.shards.stage import stage
from pipeline.tables import read_columns
from pipeline.workspace import Step, Workspace

HERE = Path(__file__).parent
make_run = runpy.run_path(str(HERE.parent / "pipeline/conftest.py"))["make_run"]


def card(name: str) -> Card:
    words = {"title": name.title(), "licence": "MIT", "attribution": "The painters", "child_directed": True}
    source = {"engine": "folder", "path": "pictures"}
    return Card(name=name, **words, redistributable=True, source=source, body="", path=Path())  # type: ignore[arg-type]


def embed(run: Path, out: Path) -> dict[str, int]:
    """Vectors of the pictures by which they can be told apart."""
    hashes = sorted(set(read_columns(run / "signals/samples.parquet", ["image_sha256"])["image_sha256"]))
    vectors = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), -1).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    folder = out / "embeddings" / EmbedConfig().image_folder
    return {"pictures": write_vectors(IMAGES, folder, hashes, vectors, {"encoder": "digests"})}


def model_folder(run: Path, target: Path) -> Path:
    """A small model of the run, exported."""
    captions = read_columns(run / "signals/samples.parquet", ["caption"])["caption"]
    tokenizer = train_tokenizer(captions, 300)
    config = ModelConfig(
        name="tiny",
        image_size=32,
        embedding_size=32,
        vision=VisionConfig(widths=(8, 16), blocks=(1, 1), layers=1, heads=2),
        text=TextConfig(vocab_size=300, max_length=8, width=16, layers=1, heads=2),
        fusion=NoFusionConfig(kind="none"),
    )
    save_model(build_model(config, tokenizer.vocab_size, seed=0), tokenizer, config, run / "models/tiny")
    export_model(run / "models/tiny", target, licence="CC-BY-4.0", config=EvaluateConfig(resamples=100))
    return target


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `publish` makes of a run with 160 drawings in two stages, two evaluation sets, and a model."""
    folder = tmp_path_factory.mktemp("clients")
    run = make_run(folder / "run")
    order(CurriculumConfig(stages=("one", "two")), run, run)
    cards, config = [card(name) for name in ("shapes", "lines")], CardConfig(name="small", published="2026-11-22")
    workspace = Workspace(run)
    workspace.run(
        Step(
            name="embed",
            function=lambda out: embed(run, out),
            outputs=("embeddings",),
            params={"config": EmbedConfig().model_dump(mode="json")},
        )
    )
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
    models = {"tiny": model_folder(run, folder / "exported")}
    assert publish(PublishConfig(), run, folder / "published", models=models)["kept"] == 160
    return folder / "published"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")


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
def everything(expected: dict[str, Samples]) -> Samples:
    """The samples of all sets."""
    return {uid: told for samples in expected.values() for uid, told in samples.items()}


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """A function that says how many samples a client had right: as many as the table of clients says."""
    (row,) = (row for row in CLIENTS if row.test == request.node.name)

    def told(samples: int | None) -> None:
        assert samples == row.samples, f"{row.client}: the table says {row.samples}"

    return told


@pytest.fixture(scope="session")
def read_apart(tmp_path_factory: pytest.TempPathFactory) -> Read:
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
