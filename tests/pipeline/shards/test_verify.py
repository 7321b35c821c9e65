import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rewritten import resign

from pipeline.files import read_json, write_json
from pipeline.shards.verify import verify_run, verify_stages
from pipeline.workspace import Step, Workspace


def test_what_was_written_is_fine(small_run: Path) -> None:
    assert verify_stages(small_run / "stages") == []


def damaged(stages: Path, seed: int, damage: Callable[[bytes, np.random.Generator], bytes]) -> tuple[int, int]:
    """Change every file again and again, all but the manifest at once; return how many there were and were named."""
    generator = np.random.default_rng(seed)
    whole = {path: path.read_bytes() for path in sorted(stages.rglob("*")) if path.is_file()}
    manifest = stages / "manifest.json"
    done = named = 0
    while done < 200:
        # The manifest goes alone, as nothing else can be judged without it.
        for paths in ([path for path in whole if path != manifest], [manifest]):
            for path in paths:
                path.write_bytes(damage(whole[path], generator))
            problems = verify_stages(stages)
            named += sum(any(f"{path} " in problem for problem in problems) for path in paths)
            done += len(paths)
            for path in paths:
                path.write_bytes(whole[path])
    assert verify_stages(stages) == []
    return done, named


def test_every_bit_flip_is_found(stages: Path) -> None:
    def flip(data: bytes, generator: np.random.Generator) -> bytes:
        changed = bytearray(data)
        changed[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
        return bytes(changed)

    done, named = damaged(stages, 1, flip)
    assert named == done >= 200


def test_every_truncation_is_found(stages: Path) -> None:
    def cut(data: bytes, generator: np.random.Generator) -> bytes:
        keep = int(generator.integers(len(data)))
        # Also at block borders, where a tar archive looks whole.
        return data[: keep - keep % 512 if generator.integers(2) else keep]

    done, named = damaged(stages, 2, cut)
    assert named == done >= 200


def test_missing_extra_and_swapped_files_are_named(stages: Path) -> None:
    first, second = stages / "1-one/00000.tar", stages / "1-one/00001.tar"
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    problems = verify_stages(stages)
    assert problems == [
        f"{first} holds the content of 1-one/00001.tar",
        f"{second} holds the content of 1-one/00000.tar",
    ]
    second.unlink()
    (stages / "1-one/99999.tar").write_bytes(b"")
    problems = verify_stages(stages)
    assert f"{second} is missing" in problems
    assert f"{stages / '1-one/99999.tar'} is not named by the manifest" in problems
    assert all("\n" not in problem for problem in problems)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1-one/00000.tar", "2-two/00001.tar"),
        ("1-one/index.parquet", "2-two/index.parquet"),
        ("orders/random.parquet", "orders/reversed.parquet"),
        ("subsets/1-one.npy", "subsets/all.npy"),
    ],
)
def test_files_of_two_sets_that_were_swapped_are_named(stages: Path, one: str, other: str) -> None:
    first, second = stages / one, stages / other
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    problems = verify_stages(stages)
    assert sorted(problems) == [f"{first} holds the content of {other}", f"{second} holds the content of {one}"]


def test_a_link_is_named(stages: Path) -> None:
    (stages / "1-one/link.tar").symlink_to("/etc/passwd")
    assert any("link.tar is a symbolic link" in problem for problem in verify_stages(stages))


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
