import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import files
from pipeline.errors import ConfigError, DataError, LockedError
from pipeline.shards.verify import verify_run
from pipeline.workspace import Counts, Step, Workspace, check_funnel

KILLED = Path(__file__).with_name("killed_run.py")


def writer(name: str, text: str, counts: Counts | None = None) -> Callable[[Path], Counts]:
    def function(out: Path) -> Counts:
        files.write_bytes(out / name, text.encode())
        return counts or {}

    return function


def first(text: str = "one", **options: object) -> Step:
    return Step(name="first", function=writer("a/one.txt", text), outputs=("a",), params=options)


def second() -> Step:
    return Step(name="second", function=writer("b.txt", "two"), outputs=("b.txt",), inputs=("first",))


def test_a_finished_step_is_found_and_a_change_redoes_what_follows(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert [workspace.run(step).ran for step in (first(), second())] == [True, True]
    assert [workspace.run(step).ran for step in (first(), second())] == [False, False]
    assert [workspace.run(step).ran for step in (first("other", threshold=2), second())] == [True, True]
    assert (tmp_path / "a/one.txt").read_text() == "other"
    # Other parameters and the same bytes: what follows reads the bytes, so it stands.
    assert [workspace.run(step).ran for step in (first("other", threshold=3), second())] == [True, False]
    assert verify_run(tmp_path) == []
    assert not any((tmp_path / ".part").iterdir())


def test_old_outputs_leave_nothing_behind(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.run(Step(name="s", function=writer("a/old.txt", "x"), outputs=("a",)))
    workspace.run(Step(name="s", function=writer("a/new.txt", "y"), outputs=("a",), version=2))
    assert [path.name for path in files.files_below(tmp_path / "a")] == ["new.txt"]


def test_a_step_of_another_run_is_taken_over_where_all_that_decides_it_is_equal(tmp_path: Path) -> None:
    here, there = Workspace(tmp_path / "here"), Workspace(tmp_path / "there")
    for step in (first(), second()):
        there.run(step)
    assert not here.adopt(first(threshold=2), there)
    assert here.adopt(first(), there) and here.adopt(second(), there)
    assert [here.run(step).ran for step in (first(), second())] == [False, False]
    assert verify_run(here.root) == [] and not any((here.root / ".part").iterdir())
    # What one of them does afterwards is its own affair.
    there.run(first("other", threshold=2))
    assert (here.root / "a/one.txt").read_text() == "one"


def test_a_damaged_step_of_another_run_is_not_taken_over(tmp_path: Path) -> None:
    here, there = Workspace(tmp_path / "here"), Workspace(tmp_path / "there")
    there.run(first())
    (there.root / "a/one.txt").write_text("One")
    with pytest.raises(DataError, match="there: step first is damaged"):
        here.adopt(first(), there)
    assert here.record("first") is None and here.run(first()).ran


@pytest.mark.parametrize("damage", ["missing", "shorter"])
def test_a_lost_output_is_made_again(tmp_path: Path, damage: str) -> None:
    workspace = Workspace(tmp_path)
    workspace.run(first())
    target = tmp_path / "a/one.txt"
    target.unlink() if damage == "missing" else target.write_text("o")
    assert workspace.run(first()).ran
    assert target.read_text() == "one"


def test_a_step_needs_what_it_reads(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="step second reads step first, which has not been done"):
        Workspace(tmp_path).run(second())


def test_a_resumable_step_finds_its_scratch_again_and_others_do_not(tmp_path: Path) -> None:
    def function(out: Path) -> Counts:
        found = (out / "half").exists()
        files.write_bytes(out / "half", b"")
        if not found:
            raise KeyboardInterrupt
        files.write_bytes(out / "done.txt", b"whole")
        return {"resumed": found}

    workspace = Workspace(tmp_path)
    resumable = Step(name="s", function=function, outputs=("done.txt",), resumable=True)
    with pytest.raises(KeyboardInterrupt):
        workspace.run(resumable)
    assert workspace.record("s") is None
    assert workspace.run(resumable).record["counts"] == {"resumed": True}
    plain = Step(name="t", function=function, outputs=("done.txt",))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            workspace.run(plain)


def test_a_changed_key_starts_a_resumable_step_afresh(tmp_path: Path) -> None:
    seen = []

    def function(out: Path) -> Counts:
        seen.append(sorted(path.name for path in out.iterdir()))
        files.write_bytes(out / "half", b"")
        raise KeyboardInterrupt

    workspace = Workspace(tmp_path)
    for threshold in (1, 1, 2):
        with pytest.raises(KeyboardInterrupt):
            workspace.run(
                Step(name="s", function=function, outputs=("x",), params={"threshold": threshold}, resumable=True)
            )
    assert seen == [[], ["half"], []]


@pytest.mark.parametrize(
    ("counts", "fine"),
    [
        ({"in": 3, "kept": 2, "dropped": {"short": 1}}, True),
        ({"in": 3, "kept": 3, "dropped": {}}, True),
        ({"kept": 3}, True),
        ({"in": 3, "kept": 2, "dropped": {}}, False),
        ({"in": 3, "kept": 2, "dropped": {"short": 1, "long": 1}}, False),
    ],
)
def test_a_funnel_must_add_up(tmp_path: Path, counts: Counts, fine: bool) -> None:
    step = Step(name="s", function=writer("x", "x", counts), outputs=("x",))
    if fine:
        check_funnel("s", counts)
        assert Workspace(tmp_path).run(step).record["counts"] == counts
        return
    with pytest.raises(DataError, match="do not add up") as caught:
        Workspace(tmp_path).run(step)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x").exists() and Workspace(tmp_path).record("s") is None


def leave_part(out: Path) -> Counts:
    (out / "x").mkdir()
    (out / "x/file.part").touch()
    return {}


def leave_link(out: Path) -> Counts:
    (out / "x").symlink_to("/etc")
    return {}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (writer("y", ""), "did not write x"),
        (leave_part, "left the unfinished file file.part"),
        (leave_link, "symbolic link"),
    ],
)
def test_promises_about_outputs_are_held(tmp_path: Path, function: Callable[[Path], Counts], said: str) -> None:
    with pytest.raises((DataError, ConfigError), match=said):
        Workspace(tmp_path).run(Step(name="s", function=function, outputs=("x",)))
    assert not (tmp_path / "x").exists()


def test_a_damaged_record_is_one_line(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.run(first())
    workspace.record_path("first").write_text('{"step": "first"')
    with pytest.raises(DataError, match=r"first.json is damaged; remove it"):
        workspace.run(first())
    workspace.record_path("first").unlink()
    assert workspace.run(first()).ran


def fill_a_device(out: Path) -> Counts:
    with Path("/dev/full").open("wb") as file:
        file.write(b"x")
    return {}


def test_a_full_disk_is_one_line_and_nothing_is_final(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no space is left on the disk; free some") as caught:
        Workspace(tmp_path).run(Step(name="s", function=fill_a_device, outputs=("x",)))
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    assert not (tmp_path / "steps").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_run_goes_on_when_a_full_disk_has_room_again(small_disk: Path) -> None:
    from pipeline.tables import write_table

    def function(out: Path) -> Counts:
        write_table(out / "x/table.parquet", {"value": [os.urandom(1000) for _ in range(500)]})
        return {}

    (small_disk / "ballast").write_bytes(bytes(700_000))
    workspace = Workspace(small_disk / "run")
    step = Step(name="s", function=function, outputs=("x",))
    with pytest.raises(ConfigError, match="no space is left"):
        workspace.run(step)
    assert not (workspace.root / "x").exists()
    (small_disk / "ballast").unlink()
    workspace.run(step)
    assert verify_run(workspace.root) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT, errno.ENAMETOOLONG])
def test_faults_of_the_disk_name_the_path(tmp_path: Path, number: int) -> None:
    def function(out: Path) -> Counts:
        raise OSError(number, os.strerror(number), str(out / "file"))

    with pytest.raises(ConfigError) as caught:
        Workspace(tmp_path).run(Step(name="s", function=function, outputs=("x",)))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_other_errors_keep_their_traceback(tmp_path: Path) -> None:
    def function(out: Path) -> Counts:
        raise OSError(errno.ECONNREFUSED, "refused")

    with pytest.raises(ConnectionRefusedError):
        Workspace(tmp_path).run(Step(name="s", function=function, outputs=("x",)))


def test_a_run_directory_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file/below", tmp_path / ("long" * 100)):
        with pytest.raises(ConfigError, match="--run") as caught, Workspace(root).lock():
            pass
        assert str(root) in str(caught.value)


HOLD = "import sys; from pathlib import Path; from pipeline.workspace import Workspace\n"
HOLD += "with Workspace(Path(sys.argv[1])).lock(): print('held', flush=True); sys.stdin.read()"


def test_one_run_at_a_time_and_a_dead_ones_lock_is_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        started = time.monotonic()
        with pytest.raises(LockedError, match="is in use by another run") as caught, Workspace(tmp_path).lock():
            pass
        assert time.monotonic() - started < 2
        assert caught.value.exit_code == 4
        holder.kill()
        holder.wait()
    with Workspace(tmp_path).lock():
        pass


def test_killed_at_any_file_operation_a_run_ends_in_the_same_bytes(tmp_path: Path) -> None:
    """Every open, rename, removal and new directory of a whole run is a place to be killed at."""
    memory = Path("/dev/shm")  # noqa: S108 - hundreds of runs: a disk that really flushes makes this slow
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        command = [sys.executable, str(KILLED), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["killed"] >= 80
    assert report["different"] == [] and report["unsound"] == []
