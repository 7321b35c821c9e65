"""The published shards in every client that reads them: the same uids, the same bytes."""

import shutil
from pathlib import Path

import pytest
from readers import Read, Samples, Tell, output, with_datasets, with_tarfile, with_webdataset

from pipeline.cards.open_clip import train_data
from pipeline.files import read_json


@pytest.fixture
def shards(published: Path) -> list[str]:
    return [str(path) for stage in ("1-one", "2-two") for path in sorted((published / stage).glob("*.tar"))]


def test_tarfile(shards: list[str], train: Samples, tell: Tell) -> None:
    found = with_tarfile(*shards)
    assert found == train
    tell(len(found))


def test_webdataset(shards: list[str], train: Samples, tell: Tell) -> None:
    found = with_webdataset(*shards)
    assert found == train
    tell(len(found))


@pytest.mark.slow
def test_the_last_webdataset_before_1(shards: list[str], train: Samples, tell: Tell, read_apart: Read) -> None:
    found_version, found = output(read_apart("with_webdataset", *shards, packages="webdataset==0.2.111"))
    assert (found_version, found) == ("0.2.111", train)
    tell(len(found))


@pytest.mark.parametrize("streaming", [False, True])
def test_hf_datasets_by_the_configurations_of_the_card(
    published: Path, expected: dict[str, Samples], train: Samples, tell: Tell, tmp_path: Path, streaming: bool
) -> None:
    wanted = {
        ("all", "train"): train,
        ("all", "validation"): expected["eval-validation"],
        ("all", "test_names"): expected["eval-test_names"],
        ("stage1", "train"): expected["1-one"],
        ("stage2", "train"): expected["2-two"],
    }
    for (configuration, split), samples in wanted.items():
        found = with_datasets(str(published), configuration, split, str(tmp_path), streaming=streaming)
        assert found == samples
    tell(len(train) + len(expected["eval-validation"]) + len(expected["eval-test_names"]))


@pytest.mark.slow
def test_mlcroissant(published: Path, everything: Samples, train: Samples, tell: Tell, read_apart: Read) -> None:
    description = published / "croissant.json"
    stages, splits = ["stage1", "stage2"], ["eval-validation", "eval-test_names"]
    assert {entry["@id"] for entry in read_json(description)["recordSet"]} == {"all", *stages, *splits}
    _, found = output(read_apart("with_mlcroissant", description, "all"))
    assert found == train
    _, found = output(read_apart("with_mlcroissant", description, *stages, *splits))
    assert found == everything
    tell(len(found))


@pytest.mark.slow
@pytest.mark.parametrize("damaged", ["2-two/00001.tar", "samples.parquet"])
def test_mlcroissant_refuses_what_has_another_sha256(
    published: Path, tmp_path: Path, read_apart: Read, damaged: str
) -> None:
    copy = Path(shutil.copytree(published, tmp_path / "copy"))
    content = bytearray((copy / damaged).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / damaged).write_bytes(content)
    done = read_apart("with_mlcroissant", copy / "croissant.json", "stage2")
    assert done.returncode != 0
    assert "Hash of downloaded file" in done.stderr and damaged in done.stderr


@pytest.mark.slow
def test_the_training_loader_of_open_clip(published: Path, train: Samples, tell: Tell, read_apart: Read) -> None:
    data = train_data(read_json(published / "manifest.json"), f"{published}/")
    assert data.shards == f"{published}/1-one/{{00000..00003}}.tar::{published}/2-two/{{00000..00002}}.tar"
    done = read_apart("with_open_clip", data.shards, str(data.samples), "8", packages="webdataset==0.2.86")
    _, found = output(done)
    assert found == train
    tell(len(found))
