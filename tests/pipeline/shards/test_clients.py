"""The stages as other tools read them: the same samples, the same bytes."""

import shutil
import tarfile
from pathlib import Path

import pytest

from pipeline.cards.config import CardConfig
from pipeline.cards.datacard import write_cards
from pipeline.shards.read import ShardReader, open_stages


@pytest.fixture(scope="module")
def expected(small_run: Path) -> dict[str, tuple[bytes, str]]:
    part = open_stages(small_run / "stages").stages[0]
    reader = ShardReader(part)
    captions = part.column("caption")
    return {uid: (reader.read(row), captions[row]) for row, uid in enumerate(part.column("uid"))}


@pytest.fixture(scope="module")
def shards(small_run: Path) -> list[str]:
    return sorted(map(str, (small_run / "stages/1-one").glob("*.tar")))


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")


def test_tarfile(shards: list[str], expected: dict[str, tuple[bytes, str]]) -> None:
    found: dict[str, tuple[bytes, str]] = {}
    for shard in shards:
        with tarfile.open(shard) as tar:
            content = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        keys = dict.fromkeys(name.partition(".")[0] for name in content)
        found |= {key: (content[f"{key}.jpg"], content[f"{key}.txt"].decode()) for key in keys}
    assert list(found) == list(expected)
    assert found == expected


def test_webdataset(shards: list[str], expected: dict[str, tuple[bytes, str]]) -> None:
    import webdataset

    rows = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))
    assert [row["__key__"] for row in rows] == list(expected)
    assert {row["__key__"]: (row["jpg"], row["txt"].decode()) for row in rows} == expected


@pytest.mark.parametrize("streaming", [True, False])
def test_hf_datasets(
    shards: list[str], expected: dict[str, tuple[bytes, str]], tmp_path: Path, streaming: bool
) -> None:
    import datasets

    pairs = datasets.load_dataset(
        "webdataset", data_files={"train": shards}, split="train", streaming=streaming, cache_dir=str(tmp_path)
    )
    rows = list(pairs.cast_column("jpg", datasets.Image(decode=False)))
    assert {row["__key__"]: (row["jpg"]["bytes"], row["txt"]) for row in rows} == expected
    assert [row["json"]["uid"] for row in rows] == list(expected)


def test_hf_datasets_finds_the_stages_through_the_card(small_run: Path, tmp_path: Path) -> None:
    import datasets

    shutil.copytree(small_run / "stages", tmp_path / "published/stages")
    write_cards(CardConfig(name="small"), small_run, tmp_path)
    shutil.copy(tmp_path / "card/README.md", tmp_path / "published/README.md")
    stages = open_stages(small_run / "stages")
    everything = datasets.load_dataset(str(tmp_path / "published"), cache_dir=str(tmp_path / "cache"))
    sizes = {name: split.num_rows for name, split in everything.items()}
    assert sizes == {"train": 120, "validation": 20, "test_names": 20}
    second = datasets.load_dataset(str(tmp_path / "published"), "stage2", split="train", streaming=True)
    assert {row["__key__"] for row in second} == set(stages.stages[1].column("uid"))
