import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.files import digest, read_json, sha256_file, write_json
from pipeline.shards.verify import verify_run, verify_stages
from pipeline.tables import read_columns, write_table
from pipeline.tar import add_member, new_tar
from pipeline.workspace import Step, Workspace


@pytest.fixture
def stages(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run / "stages", tmp_path / "stages"))


def test_what_was_written_is_fine(small_run: Path) -> None:
    assert verify_stages(small_run / "stages") == []


def test_every_bit_flip_is_found(stages: Path) -> None:
    generator = np.random.default_rng(1)
    paths = sorted(path for path in stages.rglob("*") if path.is_file())
    for turn in range(50):
        path = paths[turn % len(paths)]
        data = bytearray(path.read_bytes())
        whole = bytes(data)
        data[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
        path.write_bytes(data)
        problems = verify_stages(stages)
        assert any(str(path) in problem for problem in problems), path
        path.write_bytes(whole)
    assert verify_stages(stages) == []


def test_every_truncation_is_found(stages: Path) -> None:
    generator = np.random.default_rng(2)
    paths = sorted(path for path in stages.rglob("*") if path.is_file())
    for turn in range(50):
        path = paths[turn % len(paths)]
        whole = path.read_bytes()
        # Also at block borders, where a tar archive looks whole.
        keep = int(generator.integers(len(whole)))
        path.write_bytes(whole[: keep - keep % 512 if turn % 2 else keep])
        assert any(str(path) in problem for problem in verify_stages(stages)), path
        path.write_bytes(whole)


def test_missing_extra_and_swapped_files_are_named(stages: Path) -> None:
    first, second = stages / "1-one/00000.tar", stages / "1-one/00001.tar"
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    problems = verify_stages(stages)
    assert f"{first} holds the content of 00001.tar" in problems
    assert f"{second} holds the content of 00000.tar" in problems
    assert len(problems) == 2
    second.unlink()
    (stages / "1-one/99999.tar").write_bytes(b"")
    problems = verify_stages(stages)
    assert f"{second} is missing" in problems
    assert f"{stages / '1-one/99999.tar'} is not named by the manifest" in problems
    assert all("\n" not in problem for problem in problems)


def test_a_link_is_named(stages: Path) -> None:
    (stages / "1-one/link.tar").symlink_to("/etc/passwd")
    assert any("link.tar is a symbolic link" in problem for problem in verify_stages(stages))


def resign(stages: Path, **changes: str) -> None:
    """Make the manifest agree with the files again, as another hand would, with some of its values changed."""
    manifest = read_json(stages / "manifest.json")
    for entry in (*manifest["stages"], *manifest["evaluation"]):
        for named in (entry["index"], *entry["shards"]):
            path = stages / entry["path"] / named["file"]
            named |= {"sha256": sha256_file(path), "bytes": path.stat().st_size}
    manifest |= changes
    del manifest["sha256"]
    write_json(stages / "manifest.json", {**manifest, "sha256": digest(manifest)})


def rewrite(path: Path, change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> None:
    import tarfile

    with tarfile.open(path) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
    with new_tar(path) as tar:
        for name, data in change(members):
            add_member(tar, name, data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m[:3] + m, "already"),
        (lambda m: [*m, *m[:3]], "already"),
        (lambda m: m[:-1], "the last sample is not whole"),
        (lambda m: [m[0], m[3], *m[1:3], *m[4:]], "not adjacent and sorted"),
        (lambda m: [m[1], m[0], *m[2:]], "not adjacent and sorted"),
        (lambda m: [("../../evil.jpg", b"x"), *m], "not a regular file named"),
        (lambda m: [*m, ("payload.pickle", b"x")], "not a regular file named"),
        (lambda m: [(m[0][0].upper(), m[0][1]), *m[1:]], "not a regular file named"),
        (lambda m: [*m[3:6], *m[:3], *m[6:]], "is not where the index says"),
        (lambda m: [*m[:2], (m[2][0], b"other words"), *m[3:]], "is not that of the index"),
        (lambda m: m[3:], "samples"),
    ],
)
def test_what_another_hand_has_written_is_compared_member_by_member(
    stages: Path, change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]], said: str
) -> None:
    path = stages / "3-three/00001.tar"
    rewrite(path, change)
    resign(stages)
    problems = verify_stages(stages)
    assert any(said in problem and str(path) in problem for problem in problems), problems


def test_one_sample_in_two_sets_is_found(stages: Path) -> None:
    shutil.rmtree(stages / "eval-validation")
    shutil.copytree(stages / "eval-test_names", stages / "eval-validation")
    resign(stages)
    problems = verify_stages(stages)
    assert any("eval-validation" in problem and "already" in problem for problem in problems)


def test_index_rows_must_equal_the_manifest(stages: Path) -> None:
    path = stages / "1-one/index.parquet"
    columns = read_columns(path)
    write_table(path, {name: values[1:] for name, values in columns.items()})
    resign(stages)
    assert any(str(path) in problem for problem in verify_stages(stages))


def finished_run(small_run: Path, tmp_path: Path) -> Path:
    """A run whose steps publish the small run's own outputs."""
    workspace = Workspace(tmp_path / "run")

    def publish(name: str, counts: dict[str, Any]) -> Callable[[Path], dict[str, Any]]:
        def function(out: Path) -> dict[str, Any]:
            shutil.copytree(small_run / name, out / name)
            return counts

        return function

    counts = {"in": 160, "kept": 160, "dropped": {}}
    workspace.run(Step(name="select", function=publish("selection", counts), outputs=("selection",)))
    workspace.run(
        Step(name="order", function=publish("curriculum", counts), outputs=("curriculum",), inputs=("select",))
    )
    workspace.run(Step(name="stage", function=publish("stages", counts), outputs=("stages",), inputs=("order",)))
    return workspace.root


def test_a_finished_run_is_fine_and_every_edit_is_found(small_run: Path, tmp_path: Path) -> None:
    run = finished_run(small_run, tmp_path)
    assert verify_run(run) == []
    table = run / "curriculum/controls/random.parquet"
    whole = table.read_bytes()
    table.write_bytes(whole[:-1] + b"x")
    assert verify_run(run) == [f"{table} is not what step order has written"]
    table.unlink()
    assert verify_run(run) == [f"{table} is missing"]
    table.write_bytes(whole)
    record = read_json(run / "steps/select.json")
    write_json(run / "steps/select.json", {**record, "counts": {"in": 9, "kept": 7, "dropped": {"short": 1}}})
    assert verify_run(run) == [
        "step select: 9 samples came in, 7 were kept and 1 dropped with a reason; these do not add up"
    ]
    write_json(run / "steps/select.json", {**record, "params": {"threshold": 2}})
    assert any("step select does not follow" in problem for problem in verify_run(run))
    (run / "steps/select.json").write_text("{")
    assert len(verify_run(run)) == 1 and "select.json is damaged" in verify_run(run)[0]


def test_a_funnel_that_leaks_between_steps_is_found(small_run: Path, tmp_path: Path) -> None:
    run = finished_run(small_run, tmp_path)
    steps = [
        {"step": "a", "in": 10, "kept": 8, "dropped": {"x": 2}},
        {"step": "b", "in": 7, "kept": 6, "dropped": {"y": 2}},
    ]
    write_json(run / "selection/funnel.json", {"steps": steps})
    path = run / "selection/funnel.json"
    assert verify_run(run) == [
        f"{path}: b does not add up",
        f"{path}: b took in 7 samples, the step before it kept 8",
    ]


def test_stages_of_another_order_are_found(small_run: Path, tmp_path: Path) -> None:
    run = finished_run(small_run, tmp_path)
    shutil.rmtree(run / "stages")
    shutil.copytree(small_run / "stages", run / "stages")
    resign(run / "stages", order="0" * 64)
    assert any("another order" in problem for problem in verify_run(run))


def test_an_empty_directory_is_not_a_run(tmp_path: Path) -> None:
    assert len(verify_run(tmp_path)) == 1
