"""The made-up world: captions that are true of their pictures, and shares of pairs that are worth less."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.acquire.worlds import COLOURS, SCENES, SIDE, make_world
from pipeline.errors import ConfigError


def rows_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "pictures/metadata.jsonl").read_text().splitlines()
    return [{**json.loads(line), "picture": folder / "pictures" / json.loads(line)["file_name"]} for line in lines]


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())), dtype=np.int64)


def is_true(row: dict[str, Any]) -> bool:
    """Return whether colours, sizes and relation of a caption can be seen; the colours have to differ."""
    words = row["caption"].split()
    picture, seen = pixels(row["picture"]), []
    for size, colour in (words[1:3], words[-3:-1]):
        places = np.argwhere(np.abs(picture - COLOURS[colour]).max(axis=2) < 8)
        if not len(places) or (np.ptp(places, axis=0).max() > 8) != (size == "big"):
            return False
        seen.append(places.mean(axis=0))
    down, right = seen[1] - seen[0]
    measures = {"left": right, "right": -right, "above": down, "below": -down}
    return bool(measures[words[4]] > 3)


def two_colours(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows whose two objects have different colours."""
    return [row for row in rows if row["caption"].split()[2] != row["caption"].split()[-2]]


def test_every_scene_has_one_caption_of_its_own() -> None:
    captions = [scene.caption for scene in SCENES]
    assert len(set(captions)) == len(captions) == 48 * 47 * 2
    relations = Counter(caption.split()[4] for caption in captions)
    assert min(relations.values()) > 1000


def test_captions_are_true_of_their_pictures_unless_they_are_mismatched(tmp_path: Path) -> None:
    assert make_world(tmp_path / "half", seed=0, pairs=200, mismatched=0.5) == {"clean": 100, "mismatched": 100}
    rows = two_colours(rows_of(tmp_path / "half"))
    true = {kind: [is_true(row) for row in rows if row["category"] == kind] for kind in ("clean", "mismatched")}
    assert all(true["clean"]) and not any(true["mismatched"])
    assert {row["group"] for row in rows} == {row["caption"] for row in rows}


def test_scenes_do_not_repeat_before_all_are_shown(tmp_path: Path) -> None:
    make_world(tmp_path / "clean", seed=0, pairs=300)
    assert len({row["caption"] for row in rows_of(tmp_path / "clean")}) == 300


def test_a_duplicate_is_nearly_the_picture_of_the_same_caption(tmp_path: Path) -> None:
    make_world(tmp_path / "copies", seed=1, pairs=100, duplicates=0.8)
    rows = rows_of(tmp_path / "copies")
    originals = {row["caption"]: pixels(row["picture"]) for row in rows if row["category"] == "clean"}
    assert len(originals) == 20
    for row in rows:
        difference = np.abs(pixels(row["picture"]) - originals[row["caption"]]).mean()
        assert (difference == 0) == (row["category"] == "clean") and difference < 20


def test_what_is_easy_is_one_object(tmp_path: Path) -> None:
    make_world(tmp_path / "easy", seed=2, pairs=100, easy=1.0)
    captions = Counter(row["caption"] for row in rows_of(tmp_path / "easy"))
    assert len(captions) == 48 and max(captions.values()) == 3
    assert all(len(caption.split()) == 4 for caption in captions)
    assert Image.open(tmp_path / "easy/pictures/00000.png").size == (SIDE, SIDE)


def test_the_arguments_decide_the_bytes_and_a_world_that_is_there_stays(tmp_path: Path) -> None:
    first, second = tmp_path / "a/world", tmp_path / "b/world"
    for folder in (first, second):
        make_world(folder, seed=3, pairs=40, easy=0.25, mismatched=0.25)
    found = {path.name: path.read_bytes() for path in sorted((first / "pictures").iterdir())}
    assert found == {path.name: path.read_bytes() for path in (second / "pictures").iterdir()} and len(found) == 41
    before = (first / "pictures/00000.png").stat().st_mtime_ns
    assert make_world(first, seed=3, pairs=40, easy=0.25, mismatched=0.25)["clean"] == 20
    assert (first / "pictures/00000.png").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"card\.md is the card of another world"):
        make_world(first, seed=4, pairs=40, easy=0.25, mismatched=0.25)
    (second / "card.md").unlink()  # killed before the end: it is made anew
    (second / "pictures/00039.png").unlink()
    make_world(second, seed=3, pairs=40, easy=0.25, mismatched=0.25)
    assert found == {path.name: path.read_bytes() for path in (second / "pictures").iterdir()}


@pytest.mark.parametrize(
    "shares",
    [
        {"mismatched": 0.6, "easy": 0.6},
        {"duplicates": 1.0},
        {"easy": -0.1},
        {"mismatched": 1.5},
        {"mismatched": float("nan")},
    ],
)
def test_shares_that_are_none_are_refused_and_nothing_is_written(shares: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"give a share from 0 to 1|add up to 1 at most"):
        make_world(tmp_path / "world", seed=0, pairs=10, **shares)
    assert not list(tmp_path.iterdir())
