"""Publishing and taking down as a person does it: a folder of pictures, whole runs, and nothing left of what went."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from own_folder import COLOURS, RECIPE, SHAPES, TRAINING, essen, write_own_folder

from pipeline.files import files_below, read_json, sha256_file
from pipeline.shards.picture import staged_jpeg
from pipeline.tables import read_columns

ESSEN = Path(sys.executable).with_name("essen")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A recipe over 24 pictures of 12 shapes in two sizes; the first four have a second caption."""
    again = [
        {
            "file_name": f"{COLOURS[0]}-{shape}-{side}.png",
            "caption": f"look at the {size} {COLOURS[0]} {shape}",
            "group": f"{COLOURS[0]} {shape}",
        }
        for shape in SHAPES[:2]
        for size, side in (("small", 20), ("big", 34))
    ]
    return write_own_folder(tmp_path, RECIPE + TRAINING, again, colours=3)


def run_all(own: Path, run: Path, until: str = "card") -> int:
    return essen("run", own / "mine.yaml", "--run", run, "--engine", "local", "--until", until)


def samples(run: Path) -> list[dict[str, str]]:
    columns = read_columns(run / "signals/samples.parquet", ["uid", "caption", "url", "image_sha256"])
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def everything(run: Path) -> bytes:
    """All bytes of a run and all values of its tables."""
    found = files_below(run)
    tables = [str(read_columns(path)).encode() for path in found if path.suffix == ".parquet"]
    return b"".join([*(path.read_bytes() for path in found), *tables])


def needles(own: Path, rows: list[dict[str, str]]) -> list[bytes]:
    """What a byte grep must not find of some samples: their hashes, addresses and words, and the pictures' bytes."""
    texts = [row[key].encode() for row in rows for key in ("uid", "caption", "url", "image_sha256")]
    pictures = {(own / "pictures" / row["url"].rpartition("/")[2]).read_bytes() for row in rows}
    return [*texts, *pictures, *(staged_jpeg(picture, 32) for picture in pictures)]


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def tree(run: Path) -> dict[str, str]:
    """Hashes of what two runs have in common; records tell the time."""
    found = {path.relative_to(run).as_posix(): sha256_file(path) for path in files_below(run)}
    return {name: value for name, value in found.items() if not name.startswith(("steps/", ".lock", ".part"))}


def test_a_takedown_leaves_nothing_and_a_rebuild_stays_clean(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = own / "runs/first"
    assert run_all(own, run) == 0
    rows = samples(run)
    two = next(row for row in rows if row["caption"].startswith("look"))
    both = [row for row in rows if row["url"] == two["url"]]
    single = [row for row in rows if "orange" not in row["caption"] and row["url"] not in {two["url"]}]
    alone = [row for row in single if sum(row["url"] == other["url"] for other in rows) == 1]
    gone = [*both, alone[0], alone[5]]
    found = needles(own, gone)
    assert len(both) == 2
    before = everything(run)
    assert [needle for needle in found if needle not in before] == []

    targets = ("--uid", alone[0]["uid"], "--url", two["url"], "--sha256", alone[5]["image_sha256"])
    capsys.readouterr()
    assert essen("takedown", run, *targets, "--json") == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (shown["rows"], shown["samples"], shown["pictures"]) == (4, 4, 3)
    after = everything(run)
    assert [needle for needle in found if needle in after] == []
    assert {row["uid"] for row in samples(run)} == {row["uid"] for row in rows} - {row["uid"] for row in gone}
    assert (run / "card/README.md").read_text().count("4 rows were taken down on request") == 1
    assert len((own / "runs/ledger/tombstones.jsonl").read_text().splitlines()) == 4
    assert essen("verify", run) == 0
    assert not (run / ".part/takedown").exists()

    state = tree(run)
    assert essen("takedown", run, *targets) == 0
    assert run_all(own, run) == 0
    assert tree(run) == state
    anew = own / "runs/second"
    assert run_all(own, anew) == 0
    assert tree(anew) == state
    assert [needle for needle in found if needle in everything(anew)] == []


def test_a_run_that_was_there_before_is_rid_of_it_when_it_is_next_used(own: Path) -> None:
    first, other = own / "runs/first", own / "runs/other"
    assert run_all(own, first, "acquire") == 0
    shutil.copytree(first, other)
    row = read_columns(first / "raw/shapes/00000.parquet")
    assert essen("takedown", first, "--url", row["url"][0]) == 0
    assert row["sha256"][0].encode() in everything(other)
    assert run_all(own, other, "acquire") == 0
    assert tree(other) == tree(first)
    assert row["sha256"][0].encode() not in everything(other)


def test_misuse_is_one_line_and_code_2(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = own / "runs/first"
    assert run_all(own, run, "acquire") == 0
    before = tree(own / "runs")
    capsys.readouterr()
    for arguments, words in (
        (("takedown", run), "--uid, --url or --sha256"),
        (("takedown", run, "--uid", "7"), "'7' is no uid"),
        (
            ("takedown", run, "--url", "https://example.org/a.png"),
            "holds nothing with the url https://example.org/a.png",
        ),
        (("takedown", own / "nowhere", "--uid", "0" * 32), "is no run directory"),
        (("publish", own / "nowhere", own / "published"), "is no run directory"),
        (("publish", run, own / "published"), "holds no staged shards with a data card"),
    ):
        assert essen(*arguments) == 2
        shown = capsys.readouterr().err.strip().splitlines()
        assert len(shown) == 1 and words in shown[0], shown
    assert tree(own / "runs") == before
    assert not (own / "nowhere").exists() and not (own / "published").exists()


def test_samples_go_even_where_the_recipe_cannot_be_run_any_more(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = own / "runs/first"
    assert run_all(own, run, "acquire") == 0
    (run / "signals").mkdir()
    url = read_columns(run / "raw/shapes/00000.parquet")["url"][0]
    (own / "shapes.md").rename(own / "elsewhere.md")
    capsys.readouterr()
    assert essen("takedown", run, "--url", url) == 2
    shown = capsys.readouterr().err.strip().splitlines()
    assert "the samples are gone" in shown[-1] and "shapes.md" in shown[-1]
    assert url.encode() not in everything(run) and not (run / "signals").exists()


@pytest.mark.slow
def test_publishing_is_refused_for_a_source_that_may_not_be_redistributed(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, target = own / "runs/first", own / "published"
    assert run_all(own, run) == 0
    assert essen("publish", run, target) == 0
    assert essen("verify", target) == 0
    card = own / "shapes.md"
    card.write_text(card.read_text().replace("redistributable: true", "redistributable: false"))
    assert run_all(own, run) == 0
    assert {path.name for path in (run / "stages/1-first").glob("*.tar")} == {"closed-00000.tar"}
    assert "Corpora that may not be redistributed: shapes." in (run / "card/README.md").read_text()
    capsys.readouterr()
    assert essen("publish", run, own / "again") == 6
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 1 and "28 not_redistributable" in shown[0]
    assert not (own / "again").exists()


@pytest.mark.slow
def test_a_trained_model_is_marked_until_it_is_trained_again(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = own / "runs/first"
    assert run_all(own, run, "report") == 0
    model = next((run / "models").iterdir())
    weights = (model / "model.safetensors").read_bytes()
    row = samples(run)[0]
    found = [row["uid"].encode(), row["image_sha256"].encode(), row["url"].encode()]
    capsys.readouterr()
    assert essen("takedown", run, "--url", row["url"]) == 0
    assert "train it again" in capsys.readouterr().out
    assert read_json(model / "TAKEDOWN.json")["pictures"] == 1
    assert (model / "model.safetensors").read_bytes() == weights
    assert not (run / "reports").exists()
    assert [needle for needle in found if needle in everything(run)] == []
    assert essen("verify", run) == 0
    assert run_all(own, run, "report") == 0
    assert not (model / "TAKEDOWN.json").exists()
    assert (run / "reports/report.html").is_file()
    assert [needle for needle in found if needle in everything(run)] == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_and_repeated_a_takedown_ends_in_the_same_bytes(own: Path) -> None:
    run, reference = own / "runs/first", own / "reference/first"
    assert run_all(own, run) == 0
    shutil.copytree(run, reference)
    uid = samples(run)[3]["uid"]
    assert essen("takedown", reference, "--uid", uid) == 0
    for moment in ("steps/measure.json", "steps/stage.json"):
        process = subprocess.Popen([ESSEN, "takedown", run, "--uid", uid], start_new_session=True)
        # The steps of the call before are removed first, so the record is one of this call.
        wait_for(lambda: not (run / moment).exists())  # noqa: B023
        wait_for(lambda: (run / moment).exists())  # noqa: B023
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert essen("takedown", run, "--uid", uid) == 0
    assert tree(run) == tree(reference)
    assert essen("verify", run) == 0
