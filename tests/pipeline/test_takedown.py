"""A sample taken out of the raw shards of a run, and of all that was made from them; tombstones that keep it out."""

import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.acquire import hashes
from pipeline.acquire.raw import RawRow, raw_tables, read_raw, read_rows, write_raw
from pipeline.acquire.tombstones import BURIED, Tombstones, add_tombstones, read_tombstones, url_hash
from pipeline.errors import ConfigError, DataError
from pipeline.files import files_below, read_json, sha256_bytes, sha256_file, write_json
from pipeline.remnants import remnants
from pipeline.sample import sample_uid
from pipeline.shards.verify import verify_run
from pipeline.tables import read_columns, write_table
from pipeline.takedown import MARK, Targets, bury, finish, marked_models, resolve
from pipeline.workspace import Step, Workspace


@pytest.fixture
def rows() -> list[RawRow]:
    """Eight rows: a picture with two captions, the same picture at another address, a failure, an exclusion."""
    pictures = [bytes([number]) * 3000 for number in range(5)]
    good = [
        RawRow(
            url=f"https://example.org/{number}.png",
            caption=f"caption number {number}",
            image=picture,
            ext="png",
            group=f"group {number}",
            licence="MIT",
            attribution=f"painter {number}",
            original_sha256=sha256_bytes(picture + b"original"),
        )
        for number, picture in enumerate(pictures)
    ]
    return [
        *good,
        replace(good[1], caption="another caption of one"),
        replace(good[1], url="https://example.net/copy.png", caption="a copy of one"),
        RawRow(url="https://example.org/gone.png", caption="lost", status="failed_to_download", reason="http_404"),
        RawRow(url="https://example.org/flag.png", caption="a flag", status="excluded", reason="flag"),
    ]


@pytest.fixture
def run(tmp_path: Path, rows: list[RawRow]) -> Path:
    """A run with two corpora in shards of three rows, what was made of them, and a model."""
    workspace = Workspace(tmp_path / "runs/run")

    def acquire(name: str, own: list[RawRow]) -> Step:
        return Step(
            name=f"acquire-{name}",
            function=lambda out: write_raw(own, out / "raw" / name, rows_per_shard=3),
            outputs=(f"raw/{name}",),
        )

    def derive(out: Path) -> dict[str, Any]:
        tables = {str(path): read_columns(path) for path in workspace.root.glob("raw/*/*.parquet")}
        uids = {path: list(map(sample_uid, t["sha256"], t["caption"])) for path, t in tables.items()}
        write_json(out / "signals/all.json", {"tables": tables, "uids": uids})
        return {}

    workspace.run(acquire("first", rows))
    workspace.run(acquire("second", rows[:2]))
    workspace.run(
        Step(name="measure", function=derive, outputs=("signals",), inputs=("acquire-first", "acquire-second"))
    )
    workspace.run(
        Step(
            name="train",
            function=lambda out: write_json(out / "models/small/config.json", {"width": 1}) or {},
            outputs=("models/small",),
            inputs=("measure",),
        )
    )
    write_json(workspace.root / ".part/train-0123456789abcdef/state.json", [row.url for row in rows])
    write_json(workspace.root / "reports/evaluation.json", [row.url for row in rows])
    return workspace.root


def uid_of(run: Path, number: int) -> str:
    columns = read_columns(run / "raw/first/00000.parquet")
    return sample_uid(columns["sha256"][number], columns["caption"][number])


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files_below(folder)}


def captions(run: Path, corpus: str = "first") -> list[str]:
    return [row["caption"] for row, _ in read_raw(run / "raw" / corpus)]


def everything(run: Path) -> bytes:
    """All bytes of a run, and all values of its tables, but for its scratch."""
    found = [path for entry in sorted(run.iterdir()) if entry.name != ".part" for path in files_below(entry)]
    tables = [str(read_columns(path)).encode() for path in found if path.suffix == ".parquet"]
    return b"".join([*(path.read_bytes() for path in found), *tables])


def take(run: Path, **targets: tuple[str, ...]) -> Tombstones:
    ledger = run.parent / "ledger"
    known = add_tombstones(ledger, resolve(run, Targets(**targets), read_tombstones(ledger)))
    bury(run, known)
    finish(run)
    return known


def test_rows_are_read_as_they_were_written(tmp_path: Path, rows: list[RawRow]) -> None:
    write_raw(rows, tmp_path, rows_per_shard=4)
    assert [row for table in raw_tables(tmp_path) for row in read_rows(table)] == rows


def test_a_uid_takes_one_caption_of_a_picture(run: Path, rows: list[RawRow]) -> None:
    stones = take(run, uid=(uid_of(run, 1),))
    assert captions(run) == [f"caption number {n}" for n in (0, 2, 3, 4)] + ["another caption of one", "a copy of one"]
    assert captions(run, "second") == ["caption number 0"]
    assert len(stones) == 1 and set(json.loads(stones.lines()[0])) == {"uid", "row"}


def test_the_uid_of_a_caption_that_lives_on_takes_the_pairs_that_it_came_from(run: Path) -> None:
    """A copy of a picture was dropped; the shards hold its caption with the picture that stayed."""
    columns = read_columns(run / "raw/first/00000.parquet")
    stays, gone = uid_of(run, 0), uid_of(run, 1)
    measured = {
        "uid": [stays, gone],
        "image_sha256": columns["sha256"][:2],
        "caption": columns["caption"][:2],
    }
    write_table(run / "signals/samples.parquet", measured)
    write_table(run / "selection/verdicts.parquet", {"uid": [stays, gone], "partner": ["", stays]})
    merged = sample_uid(columns["sha256"][0], columns["caption"][1])
    take(run, uid=(merged,))
    assert captions(run) == [f"caption number {n}" for n in (0, 2, 3, 4)] + ["another caption of one", "a copy of one"]
    with pytest.raises(ConfigError, match="holds nothing with the uid"):
        take(run, uid=(merged[::-1],))


@pytest.mark.parametrize("by", ["url", "sha256 of the picture", "sha256 at its source"])
def test_a_url_or_a_hash_takes_the_picture_with_all_its_captions(run: Path, rows: list[RawRow], by: str) -> None:
    image = rows[1].image
    assert image is not None
    values = {
        "url": {"url": ("https://example.net/copy.png",)},
        "sha256 of the picture": {"sha256": (sha256_bytes(image).upper(),)},
        "sha256 at its source": {"sha256": (rows[1].original_sha256,)},
    }
    before = everything(run)
    taken = [row for row in rows if row.image == image]
    needles = [uid_of(run, 1).encode(), image, sha256_bytes(image).encode(), b"painter 1", b"group 1"]
    needles += [text.encode() for row in taken for text in (row.url, row.caption, row.original_sha256)]
    assert [needle for needle in needles if needle not in before] == []
    take(run, **values[by])
    assert captions(run) == [f"caption number {n}" for n in (0, 2, 3, 4)]
    after = everything(run)
    assert [needle for needle in needles if needle in after] == []


def test_the_tombstones_hold_hashes_and_nothing_else(run: Path, rows: list[RawRow]) -> None:
    take(run, url=(rows[1].url,))
    text = (run.parent / "ledger/tombstones.jsonl").read_text()
    for line in text.splitlines():
        assert all(
            set(value) <= set("0123456789abcdef") and len(value) in (32, 64) for value in json.loads(line).values()
        )
    assert url_hash(rows[1].url) in text and rows[1].url not in text


def test_the_shards_are_those_of_an_acquisition_that_knew(run: Path, rows: list[RawRow], tmp_path: Path) -> None:
    stones = take(run, url=(rows[1].url,), uid=(uid_of(run, 0),))
    counts = write_raw(stones.applied(rows), tmp_path / "anew", rows_per_shard=3)
    assert tree(run / "raw/first") == tree(tmp_path / "anew")
    record = read_json(run / "steps/acquire-first.json")
    assert record["counts"] == counts == {"in": 9, "kept": 3, "dropped": {"flag": 1, "http_404": 1, "takedown": 4}}
    assert verify_run(run) == []
    with tarfile.open(run / "raw/first/00000.tar") as tar:
        assert len(tar.getnames()) == 3


def test_rows_that_never_arrived_go_by_their_url(run: Path, rows: list[RawRow]) -> None:
    take(run, url=("https://example.org/gone.png",))
    assert read_json(run / "steps/acquire-first.json")["counts"]["dropped"] == {"flag": 1, "takedown": 1}
    assert b"gone.png" not in everything(run)


def test_all_that_was_made_of_it_goes_and_the_model_is_marked(run: Path) -> None:
    take(run, uid=(uid_of(run, 1),))
    assert not (run / "signals").exists() and not (run / "reports").exists()
    assert list((run / ".part").iterdir()) == []
    assert sorted(path.name for path in (run / "steps").iterdir()) == ["acquire-first.json", "acquire-second.json"]
    assert (run / "models/small/config.json").is_file()
    assert marked_models(run) == {"small": {"samples": 1, "pictures": 0}}
    take(run, uid=(uid_of(run, 0),))
    assert read_json(run / "models/small" / MARK) == {"samples": 2, "pictures": 1}


def test_steps_after_acquisition_are_to_be_done_again_and_acquisition_is_not(run: Path) -> None:
    workspace = Workspace(run)
    before = workspace.record("acquire-first")
    take(run, uid=(uid_of(run, 1),))
    after = workspace.record("acquire-first")
    assert before is not None and after is not None
    assert before["key"] == after["key"] and before["outputs"] != after["outputs"]
    assert workspace.is_done(Step(name="acquire-first", function=lambda _: {}, outputs=("raw/first",)))


def test_once_more_is_no_error_and_changes_nothing(run: Path) -> None:
    uid = uid_of(run, 1)
    take(run, uid=(uid,))
    before = tree(run.parent)
    take(run, uid=(uid,))
    assert tree(run.parent) == before


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ({"uid": ("0" * 32,)}, "holds nothing with the uid 000"),
        ({"url": ("https://example.org/other.png",)}, "holds nothing with the url https://example.org/other.png"),
        ({"sha256": ("0" * 64,)}, "holds nothing with the sha256 000"),
        ({"uid": ("1-2",)}, "'1-2' is no uid"),
        ({"sha256": ("0" * 32,)}, "is no sha256: that is 64 hexadecimal digits"),
        ({}, "say what to take down"),
    ],
)
def test_a_target_that_answers_to_nothing_is_one_line_and_changes_nothing(
    run: Path, targets: dict[str, tuple[str, ...]], words: str
) -> None:
    before = tree(run.parent)
    with pytest.raises(ConfigError, match=words) as caught:
        take(run, **targets)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    assert tree(run.parent) == before


def test_a_later_run_leaves_it_out(run: Path, rows: list[RawRow]) -> None:
    stones = take(run, url=(rows[1].url,))
    found = list(stones.applied(rows))
    assert [row == BURIED for row in found] == [row.image == rows[1].image and row.image is not None for row in rows]
    # The picture under another address and words, another picture at the address: both stay out.
    moved = replace(rows[1], url="https://example.com/x.png", caption="new words")
    replaced = replace(rows[1], image=b"new", original_sha256="")
    recoded = replace(rows[1], url="https://example.com/x.png", image=b"new")
    assert list(stones.applied([moved, replaced, recoded])) == [BURIED] * 3
    assert next(stones.applied([replace(moved, image=b"other", original_sha256="")])) != BURIED


def test_what_the_ledger_knows_of_the_url_is_forgotten(run: Path, rows: list[RawRow]) -> None:
    ledger = run.parent / "ledger"
    hashes.lock(ledger, "first", {row.url: row.original_sha256 for row in rows[:3]})
    take(run, url=(rows[1].url,))
    assert hashes.locked(ledger, "first") == {row.url: row.original_sha256 for row in (rows[0], rows[2])}


def test_a_damaged_ledger_is_named(run: Path) -> None:
    take(run, uid=(uid_of(run, 1),))
    path = run.parent / "ledger/tombstones.jsonl"
    for text in ("{", '["uid"]', '{"name": "x"}'):
        path.write_text(text)
        with pytest.raises(DataError, match=r"tombstones\.jsonl is damaged"):
            read_tombstones(path.parent)


def test_what_is_no_part_of_the_run_is_found(run: Path) -> None:
    uid = uid_of(run, 1)
    (run / "notes.txt").write_text(f"look at {uid}")
    take(run, uid=(uid,))
    assert list(remnants(run, [uid])) == [run / "notes.txt"]


@pytest.mark.slow
def test_killed_anywhere_the_same_call_ends_in_the_same_bytes(run: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_takedown.py")
    command = [sys.executable, script, "takedown", run, tmp_path / "kills", uid_of(run, 1)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["killed"] >= 25
    assert report["different"] == []
