import csv
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_tables import write_samples

from pipeline.acquire.net.config import NetConfig
from pipeline.acquire.sources import UrlListSource
from pipeline.cards.attribution import inert
from pipeline.cards.config import CardConfig
from pipeline.cards.datacard import write_cards
from pipeline.cards.facts import exposure
from pipeline.files import read_json, write_json
from pipeline.tables import read_columns


@dataclass(frozen=True)
class Corpus:
    name: str
    title: str = "A title"
    licence: str = "MIT"
    attribution: str = "The painters"
    homepage: str = "https://example.org"
    child_directed: bool = True
    redistributable: bool = True
    source: object = None


SOURCES = (Corpus("shapes"), Corpus("lines", title="Pipes | <script>alert(1)</script> `x`", licence="CC-BY-4.0"))


def with_records(small_run: Path, folder: Path) -> Path:
    run = Path(shutil.copytree(small_run, folder))
    for name, kept in (("shapes", 80), ("lines", 80)):
        counts = {"in": kept + 3, "kept": kept, "dropped": {"flag": 2, "too_small": 1}}
        record = {"step": f"acquire-{name}", "key": "k", "inputs": [], "outputs": {}, "counts": counts, "finished": 1}
        write_json(run / f"steps/acquire-{name}.json", record)
    write_json(
        run / "selection/funnel.json",
        {
            "steps": [
                {"step": "length", "in": 160, "kept": 160, "dropped": {}},
                {"step": "duplicates", "in": 160, "kept": 160, "dropped": {"near": 0}},
            ]
        },
    )
    write_json(run / "signals/sources.json", {"spacy": {"version": "3.8.7", "model": "en|x"}})
    return run


def parts(path: Path) -> tuple[dict[str, Any], str]:
    _, front, body = path.read_text().split("---\n", 2)
    return yaml.safe_load(front), body


def table(body: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its head."""
    lines = body.split(f"{heading}\n", 1)[1].splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_yaml_parses_and_has_no_empty_field(small_run: Path, tmp_path: Path) -> None:
    run = with_records(small_run, tmp_path / "run")
    write_cards(CardConfig(name="Shapes: 'first' # words"), run, tmp_path, sources=SOURCES)
    front, _ = parts(tmp_path / "card/README.md")
    assert all(value not in ("", None, [], {}) for value in front.values())
    assert front["pretty_name"] == "Shapes: 'first' # words"
    assert front["license"] == ["cc-by-4.0", "mit"]
    assert front["language"] == ["en"]
    assert front["size_categories"] == ["n<1K"]
    assert "child-directed" in front["tags"]
    configs = {entry["config_name"]: entry["data_files"] for entry in front["configs"]}
    assert list(configs) == ["all", "stage1", "stage2", "stage3"]
    for data_files in configs.values():
        for entry in data_files:
            for pattern in entry["path"]:
                assert list(run.glob(pattern)), pattern


def test_the_tables_agree_with_the_records(small_run: Path, tmp_path: Path) -> None:
    run = with_records(small_run, tmp_path / "run")
    counts = write_cards(CardConfig(), run, tmp_path, sources=SOURCES)
    _, body = parts(tmp_path / "card/README.md")
    manifest = read_json(run / "stages/manifest.json")
    assert [row[2] for row in table(body, "### Stages")] == [str(entry["samples"]) for entry in manifest["stages"]]
    splits = {row[0]: int(row[1]) for row in table(body, "### Splits")}
    assert splits == {"train": 120, "validation": 20, "test_names": 20}
    funnel = table(body, "### Processing")
    assert [row[0] for row in funnel] == ["acquire-lines", "acquire-shapes", "length", "duplicates"]
    assert all(int(row[1]) == int(row[2]) + int(row[3]) for row in funnel)
    assert funnel[0][4] == "flag 2, too_small 1"
    assert {row[0]: int(row[2]) for row in table(body, "## Licences")} == {"MIT": 80, "CC-BY-4.0": 80}
    assert "Most restrictive licence: CC-BY-4.0 (attribution)" in body
    assert ["signals.spacy.version", "3.8.7"] in table(body, "### Tools")
    assert counts == {
        "samples": 160,
        "licences": {"CC-BY-4.0": 80, "MIT": 80},
        "most_restrictive": "CC-BY-4.0",
        "publishable": True,
    }
    assert not re.search(r"\|[ \t]*\|", body), "an empty cell"


def test_text_from_data_is_inert(small_run: Path, tmp_path: Path) -> None:
    run = with_records(small_run, tmp_path / "run")
    write_cards(CardConfig(description="---\nlicense: cc0-1.0"), run, tmp_path, sources=SOURCES)
    front, body = parts(tmp_path / "card/README.md")
    assert front["license"] == ["cc-by-4.0", "mit"]
    assert "<script>" not in body
    assert [len(row) for row in table(body, "### Source data")] == [8, 8]


def test_attribution_names_every_sample_and_no_cell_is_a_formula(small_run: Path, tmp_path: Path) -> None:
    write_cards(CardConfig(), small_run, tmp_path)
    with (tmp_path / "card/ATTRIBUTION.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 160
    assert [row["uid"] for row in rows] == read_columns(small_run / "signals/samples.parquet")["uid"]
    assert all(row["licence"] and row["attribution"] for row in rows)
    assert any(row["attribution"] == "'=HYPERLINK(1)|<b>" for row in rows)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_what_starts_a_formula_gets_an_apostrophe(start: str) -> None:
    assert inert(f"{start}1") == f"'{start}1"
    assert inert(f"1{start}") == f"1{start}"


def test_what_may_not_be_passed_on_is_said(small_run: Path, tmp_path: Path) -> None:
    run = with_records(small_run, tmp_path / "run")
    rows = read_columns(run / "signals/samples.parquet")
    rows["licence"][0] = "CC-BY-NC-4.0"
    write_samples(run, rows)
    closed = (SOURCES[0], Corpus("lines", redistributable=False))
    counts = write_cards(CardConfig(), run, tmp_path, sources=closed)
    _, body = parts(tmp_path / "card/README.md")
    assert counts["publishable"] is False and counts["most_restrictive"] == "CC-BY-NC-4.0"
    assert "the source lines may not be redistributed" in body
    assert "1 samples are under CC-BY-NC-4.0" in body


def test_the_same_run_gives_the_same_card(small_run: Path, tmp_path: Path) -> None:
    run = with_records(small_run, tmp_path / "run")
    write_cards(CardConfig(), run, tmp_path / "a", sources=SOURCES)
    record = read_json(run / "steps/acquire-shapes.json")
    write_json(run / "steps/acquire-shapes.json", {**record, "finished": 99})
    write_cards(CardConfig(), run, tmp_path / "b", sources=SOURCES)
    assert (tmp_path / "a/card/README.md").read_bytes() == (tmp_path / "b/card/README.md").read_bytes()


def test_takedowns_and_exceptions_of_the_network_are_said(small_run: Path, tmp_path: Path) -> None:
    run = with_records(small_run, tmp_path / "run")
    record = read_json(run / "steps/acquire-shapes.json")
    counts = {"in": 83, "kept": 80, "dropped": {"takedown": 3}}
    write_json(run / "steps/acquire-shapes.json", {**record, "counts": counts})
    net = NetConfig(insecure_hosts=("old.example.org",), robots=False, ignore=("meta",))
    fetched = replace(SOURCES[0], source=UrlListSource(list="urls.csv", net=net))
    write_cards(CardConfig(), run, tmp_path, sources=(fetched, SOURCES[1]))
    _, body = parts(tmp_path / "card/README.md")
    assert "3 rows were taken down on request." in body
    assert (
        "shapes was fetched with exceptions: certificate of old.example.org not checked; robots.txt not read; "
        "meta not obeyed."
    ) in body
    assert "lines was fetched" not in body
    write_cards(CardConfig(), with_records(small_run, tmp_path / "other"), tmp_path / "plain", sources=SOURCES)
    _, body = parts(tmp_path / "plain/card/README.md")
    assert "taken down" not in body and "with exceptions" not in body


def test_groups_of_licences_are_a_table(small_run: Path, tmp_path: Path) -> None:
    write_cards(CardConfig(), with_records(small_run, tmp_path / "run"), tmp_path, sources=SOURCES)
    _, body = parts(tmp_path / "card/README.md")
    assert "| open | `00000.tar …` | 160 |" in body


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("redact", "A fixed word stands in the place of each."),
        ("drop", "Samples with any of it were left out."),
        ("flag", "It was left where it is."),
    ],
)
def test_what_was_done_about_personal_data_is_said_with_its_numbers(
    small_run: Path, tmp_path: Path, policy: str, words: str
) -> None:
    run = with_records(small_run, tmp_path / "run")
    empty = {"key": "k", "inputs": [], "outputs": {}, "finished": 2}
    counts = {"in": 160, "kept": 160, "dropped": {}, "personal": {"child": 2, "e_mail": 1_300}}
    params = {"config": {"personal": {"policy": policy}}}
    write_json(run / "steps/measure.json", {"step": "measure", "counts": counts, "params": params, **empty})
    params = {"config": {"safety": {"real_children": {"policy": "exclude"}}}}
    write_json(run / "steps/select.json", {"step": "select", "counts": {}, "params": params, **empty})
    write_cards(CardConfig(), run, tmp_path)
    _, body = parts(tmp_path / "card/README.md")
    section = body.split("## Personal and sensitive information\n")[1].split("\n## ")[0]
    assert "Found: child 2, e mail 1,300." in section
    assert words in section
    assert "Photographs of real children were left out as far as" in section


def test_exposure_is_that_of_the_manifest(small_run: Path, tmp_path: Path) -> None:
    write_cards(CardConfig(), with_records(small_run, tmp_path / "run"), tmp_path, sources=SOURCES)
    _, body = parts(tmp_path / "card/README.md")
    manifest = read_json(small_run / "stages/manifest.json")
    rows = [[int(cell) for cell in row] for row in table(body, "### Exposure")]
    assert [row[1:3] for row in rows] == [[entry["samples"], entry["words"]] for entry in manifest["stages"]]
    assert rows[-1][3:] == [sum(row[1] for row in rows), sum(row[2] for row in rows)]
    replay = manifest["exposure"]["replay"]
    assert f"of what is seen in it, {100 * replay:.0f} % is replayed from the stages before. Word budget: none." in body


def test_a_cumulative_pool_holds_the_stages_before() -> None:
    stages = [{"stage": 1, "samples": 3, "words": 5}, {"stage": 2, "samples": 4, "words": 20}]
    rows = exposure({"exposure": {"pool": "cumulative", "replay": 0.0, "word_budget": 100}, "stages": stages})
    assert [(row["pool_samples"], row["pool_words"]) for row in rows] == [(3, 5), (7, 25)]
    assert [(row["samples_so_far"], row["words_so_far"]) for row in rows] == [(3, 5), (7, 25)]


def test_steps_before_selection_stand_in_the_funnel_once(small_run: Path, tmp_path: Path) -> None:
    run = with_records(small_run, tmp_path / "run")
    whole = {"step": "acquire", "in": 166, "kept": 160, "dropped": {"flag": 4, "too_small": 2}}
    steps = read_json(run / "selection/funnel.json")["steps"]
    write_json(run / "selection/funnel.json", {"steps": [whole, *steps]})
    write_cards(CardConfig(), run, tmp_path, sources=SOURCES)
    _, body = parts(tmp_path / "card/README.md")
    assert [row[0] for row in table(body, "### Processing")] == [
        "acquire-lines",
        "acquire-shapes",
        "length",
        "duplicates",
    ]


def test_words_of_the_publisher_are_shown(small_run: Path, tmp_path: Path) -> None:
    words = CardConfig(contact="<them> at example.org", citation="Cite ``` this")
    write_cards(words, with_records(small_run, tmp_path / "run"), tmp_path)
    _, body = parts(tmp_path / "card/README.md")
    assert "Ask &lt;them&gt; at example.org." in body
    assert "```text\nCite ~~~ this\n```" in body
