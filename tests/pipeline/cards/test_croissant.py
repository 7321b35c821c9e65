"""What Croissant says of staged shards agrees with the shards; mlcroissant itself reads them in tests/clients."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import langcodes
import pytest
import yaml
from license_expression import get_spdx_licensing
from run_tables import write_samples
from test_datacard import SOURCES, with_records

from pipeline.acquire.sources import FramesSource
from pipeline.cards.config import CardConfig
from pipeline.cards.croissant import FIELDS, licence_url
from pipeline.cards.datacard import write_cards
from pipeline.files import read_json, sha256_file, write_json
from pipeline.tables import read_columns

MINIMAL = (  # what NeurIPS 2026 asks of a data set
    *("rai:dataLimitations", "rai:dataBiases", "rai:personalSensitiveInformation", "rai:dataUseCases"),
    *("rai:dataSocialImpact", "rai:hasSyntheticData", "prov:wasDerivedFrom", "prov:wasGeneratedBy"),
)


@pytest.fixture(scope="module")
def run(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with records and its card."""
    run = with_records(small_run, tmp_path_factory.mktemp("croissant") / "run")
    write_cards(CardConfig(name="Shapes: 'first' \"words\"", contact="us"), run, run, sources=SOURCES)
    return run


@pytest.fixture(scope="module")
def description(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(run / "card/croissant.json")
    return found


def leaves(value: Any) -> list[Any]:
    """All plain values of a JSON value, and its empty lists and mappings."""
    if isinstance(value, dict | list) and value:
        return [leaf for part in (value.values() if isinstance(value, dict) else value) for leaf in leaves(part)]
    return [value]


def test_every_shard_is_a_file_with_its_hash_and_size(run: Path, description: dict[str, Any]) -> None:
    listed = {entry["@id"]: entry for entry in description["distribution"] if entry["@type"] == "cr:FileObject"}
    for entry in listed.values():
        path = run / "card" / entry["contentUrl"]
        assert entry["sha256"] == sha256_file(path)
        assert entry["contentSize"] == f"{path.stat().st_size} B"
    table = listed.pop("samples.parquet")
    assert table["encodingFormat"] == "application/x-parquet"
    assert {entry["encodingFormat"] for entry in listed.values()} == {"application/x-tar"}
    shards = sorted((run / "stages").rglob("*.tar"))
    assert sorted(listed) == [path.relative_to(run / "stages").as_posix() for path in shards]


def test_the_numbers_agree_with_manifest_and_index(run: Path, description: dict[str, Any]) -> None:
    manifest = read_json(run / "stages/manifest.json")
    sets = [*manifest["stages"], *manifest["evaluation"]]
    table = read_columns(run / "card/samples.parquet")
    assert list(table) == [name for name, *_ in FIELDS]
    assert Counter(table["set"]) == {entry["path"].removeprefix("eval-"): entry["samples"] for entry in sets}
    assert sum(table["words"]) == sum(entry["words"] for entry in sets)
    uids = [uid for entry in sets for uid in read_columns(run / "stages" / entry["path"] / "index.parquet")["uid"]]
    assert table["uid"] == uids
    said = {entry["@id"]: int(entry["description"].split()[0]) for entry in description["recordSet"]}
    named = {f"stage{e['stage']}": e["samples"] for e in manifest["stages"]}
    named |= {e["path"]: e["samples"] for e in manifest["evaluation"]}
    assert said == {"all": 120, **named}


def test_every_name_that_is_pointed_at_exists(description: dict[str, Any]) -> None:
    parts = [*description["distribution"], *description["recordSet"]]
    fields = [field for entry in description["recordSet"] for field in entry["field"]]
    names = [entry["@id"] for entry in (*parts, *fields)]
    assert len(names) == len(set(names))
    pointed = re.findall(r'\{"@id": "([^"]+)"\}', json.dumps({**description, "prov:wasDerivedFrom": []}))
    assert set(pointed) <= set(names)
    kinds = {entry["includes"] for entry in description["distribution"] if entry["@type"] == "cr:FileSet"}
    assert kinds == {"*.jpg", "*.json", "*.txt"}
    for entry in description["recordSet"]:
        assert [field["name"] for field in entry["field"]][:3] == ["uid", "image", "caption"]


def test_responsible_ai_is_filled_from_the_records(run: Path, description: dict[str, Any]) -> None:
    assert all(name in description for name in MINIMAL)
    assert [value for value in leaves(description) if value in ("", None, [], {})] == []
    assert description["rai:hasSyntheticData"] is False
    assert "acquire-shapes: 83 in, 80 kept, dropped flag 2, too_small 1" in description["rai:dataPreprocessingProtocol"]
    assert "acquire-lines: 3 of 83" in description["rai:dataCollectionMissingData"]
    assert description["rai:dataReleaseMaintenancePlan"].startswith("Ask us. ")
    assert "signals.spacy.version 3.8.7" in description["rai:machineAnnotationTools"]
    labels = [entry["prov:label"] for entry in description["prov:wasDerivedFrom"]]
    assert labels == [source.title for source in SOURCES]
    assert description["license"] == ["https://spdx.org/licenses/CC-BY-4.0.html", "https://spdx.org/licenses/MIT.html"]
    manifest = read_json(run / "stages/manifest.json")
    assert description["version"] == f"1.0.0+{manifest['sha256'][:16]}"
    assert manifest["sha256"] in description["citeAs"]


def test_safety_and_takedowns_are_told_with_their_numbers(small_run: Path, tmp_path: Path) -> None:
    run = with_records(small_run, tmp_path / "run")
    funnel = read_json(run / "selection/funnel.json")
    step = {"step": "safety", "in": 160, "kept": 157, "dropped": {"real_child": 2, "adult_word": 1, "weapon": 0}}
    write_json(run / "selection/funnel.json", {"steps": [*funnel["steps"], step]})
    words = CardConfig(synthetic=True, citation="Cite me", url="https://example.org/s", published="2026-11-22")
    write_cards(words, run, tmp_path)
    found = read_json(tmp_path / "card/croissant.json")
    assert "Rules for safety left out: adult word 1, real child 2." in found["rai:personalSensitiveInformation"]
    assert (found["rai:hasSyntheticData"], found["citeAs"]) == (True, "Cite me")
    assert (found["url"], found["datePublished"]) == ("https://example.org/s", "2026-11-22")


def test_recordings_of_persons_are_named(small_run: Path, tmp_path: Path) -> None:
    recorded = replace(SOURCES[0], source=FramesSource(engine="frames", path="recordings"), redistributable=False)
    write_cards(CardConfig(), with_records(small_run, tmp_path / "run"), tmp_path, sources=(recorded, SOURCES[1]))
    said = read_json(tmp_path / "card/croissant.json")["rai:personalSensitiveInformation"]
    assert "Recordings of persons, not made to be published: shapes." in said
    assert not any("published works" in sentence for sentence in said)


def test_licences_and_languages_are_valid(run: Path, description: dict[str, Any]) -> None:
    spdx = get_spdx_licensing()
    table = read_columns(run / "card/samples.parquet")
    assert [spdx.validate(licence).errors for licence in set(table["licence"])] == [[], []]
    assert all(langcodes.tag_is_valid(code) for code in description["inLanguage"])
    front = yaml.safe_load((run / "card/README.md").read_text().split("---\n")[1])
    assert front["language"] == description["inLanguage"] == ["en"]
    assert front["tags"] == description["keywords"]
    for url in description["license"]:
        assert spdx.validate(url.rpartition("/")[2].removesuffix(".html")).errors == []
    assert licence_url("CC-BY-4.0 AND MIT") == "CC-BY-4.0 AND MIT"
    assert licence_url("LicenseRef-mine") == "LicenseRef-mine"


def test_the_same_run_gives_the_same_bytes_in_any_directory(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "elsewhere/copy"))
    write_cards(CardConfig(name="Shapes: 'first' \"words\"", contact="us"), copy, tmp_path, sources=SOURCES)
    for name in ("croissant.json", "samples.parquet", "README.md", "train_open_clip.sh"):
        assert (tmp_path / "card" / name).read_bytes() == (run / "card" / name).read_bytes()
    assert str(tmp_path.parent) not in (tmp_path / "card/croissant.json").read_text()


def test_two_licences_of_one_pair_are_two_for_the_hub(small_run: Path, tmp_path: Path) -> None:
    run = with_records(small_run, tmp_path / "run")
    rows = read_columns(run / "signals/samples.parquet")
    rows["licence"][0] = "Apache-2.0 AND CC-BY-SA-4.0"
    write_samples(run, rows)
    write_cards(CardConfig(), run, tmp_path)
    front = yaml.safe_load((tmp_path / "card/README.md").read_text().split("---\n")[1])
    assert front["license"] == ["apache-2.0", "cc-by-4.0", "cc-by-sa-4.0", "mit"]
    assert "Apache-2.0 AND CC-BY-SA-4.0" in read_json(tmp_path / "card/croissant.json")["license"]
