"""What open_clip is told: patterns that stand for just the shards, and a script that its shell can read."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from braceexpand import braceexpand
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cards.open_clip import brace_patterns, train_data, training_script
from pipeline.files import read_json
from pipeline.licences import GROUPS


def entry(stage: int, name: str, shards: dict[str, int]) -> dict[str, Any]:
    files = [{"file": file, "samples": samples} for file, samples in shards.items()]
    return {"stage": stage, "path": f"{stage}-{name}", "samples": sum(shards.values()), "shards": files}


MANIFEST: dict[str, Any] = {
    "image": {"size": 64, "format": "jpg"},
    "exposure": {"pool": "disjoint", "replay": 0.25, "word_budget": None},
    "stages": [
        entry(1, "words", {"00000.tar": 40, "00001.tar": 40, "sa-00000.tar": 12}),
        entry(2, "stories", {"00000.tar": 200, "00001.tar": 200, "00002.tar": 200}),
    ],
    "evaluation": [entry(0, "pages", {"00000.tar": 9})],
}


@given(
    st.lists(
        st.builds(
            lambda prefix, n: f"{prefix}{n:05d}.tar", st.sampled_from(sorted(GROUPS.values())), st.integers(0, 100_002)
        ),
        max_size=12,
    )
)
def test_patterns_expand_to_the_names_in_their_order(names: list[str]) -> None:
    assert [name for pattern in brace_patterns(names) for name in braceexpand(pattern)] == names


def test_runs_of_shards_become_one_pattern() -> None:
    assert brace_patterns([f"{n:05d}.tar" for n in range(12)]) == ["{00000..00011}.tar"]
    assert brace_patterns(["99998.tar", "99999.tar", "100000.tar"]) == ["{99998..99999}.tar", "100000.tar"]
    with pytest.raises(ValueError, match=r"index\.parquet"):
        brace_patterns(["index.parquet"])


def test_stages_are_joined_and_counted() -> None:
    everything = train_data(MANIFEST, "data/")
    assert (
        everything.shards
        == "data/1-words/{00000..00001}.tar::data/1-words/sa-00000.tar::data/2-stories/{00000..00002}.tar"
    )
    assert (everything.samples, everything.number) == (692, 6)
    assert train_data(MANIFEST, stages=[2]) == ("2-stories/{00000..00002}.tar", 600, 3)
    with pytest.raises(ValueError, match=r"stages \[3\]"):
        train_data(MANIFEST, stages=[3])


def test_a_worker_of_the_script_always_has_a_batch() -> None:
    script = training_script(MANIFEST, "../stages/")
    # Three workers share three shards of the first stage; one of them may get the smallest alone.
    assert "WORKERS=${WORKERS:-3}" in script and "BATCH_SIZE=${BATCH_SIZE:-12}" in script
    assert "--force-image-size 64 " in script and '$(dirname "$0")/../stages/"' in script


@pytest.mark.parametrize(("pool", "samples"), [("disjoint", 600), ("cumulative", 692)])
def test_a_cumulative_pool_takes_the_stages_before_along(pool: str, samples: int) -> None:
    exposure = {"pool": pool, "replay": 0.0, "word_budget": None}
    script = training_script({**MANIFEST, "exposure": exposure}, "")
    second = next(line for line in script.splitlines() if line.strip().startswith("train 2-stories"))
    assert f" {samples} $((2 * EPOCHS))" in second
    assert ("1-words" in second) == (pool == "cumulative")


def test_the_script_of_a_run_passes_a_shell(small_run: Path, tmp_path: Path) -> None:
    script = tmp_path / "train_open_clip.sh"
    script.write_text(training_script(read_json(small_run / "stages/manifest.json"), ""))
    shown = subprocess.run(
        ["sh", script, "--lr", "1e-3"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": "echo", "EPOCHS": "3"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [line.split("--epochs ")[1].split()[0] for line in shown] == ["3", "6", "9"]
    assert shown[1].endswith(" --resume logs/1-one/checkpoints/epoch_3.pt --lr 1e-3")
    assert f"--train-data {tmp_path}/1-one/" in shown[0] and "--resume" not in shown[0]
