import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from essen.data import Pictures, read_pairs
from essen.errors import StagesError
from pipeline.shards.read import open_stages


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), (shade, shade, shade)).save(out, "JPEG", quality=95)
    return out.getvalue()


def test_rows_run_through_the_stages_in_order(small_stages: Path) -> None:
    stages = open_stages(small_stages).stages
    pairs = read_pairs(stages)
    assert len(pairs) == 72
    assert pairs.stages.tolist() == [1] * 24 + [2] * 24 + [3] * 24
    assert pairs.captions[0] == "red circle" and pairs.captions[-1] == "pink line"
    # A line of one colour is drawn three times, a circle too: 24 names.
    assert len(set(pairs.caption_of.tolist())) == 24 and len(set(pairs.image_of.tolist())) == 72


def test_the_same_caption_is_told_by_its_words_and_the_same_picture_by_its_bytes(
    new_stages: Callable[..., Path], tmp_path: Path
) -> None:
    pairs = [("Dog", picture(10)), ("dog", picture(20)), ("puppy", picture(20)), ("cat", picture(30))]
    found = read_pairs(open_stages(new_stages(tmp_path / "s", [pairs], pairs[:1])).stages)
    assert found.caption_of[0] == found.caption_of[1] and len(set(found.caption_of.tolist())) == 3
    assert found.image_of[1] == found.image_of[2] and len(set(found.image_of.tolist())) == 3


@pytest.mark.parametrize("memory", [0, 64])
def test_any_row_can_be_read_in_any_order_whatever_is_kept(small_stages: Path, memory: int) -> None:
    stages = open_stages(small_stages).stages
    pictures = Pictures(stages, 32, memory=memory)
    rows = np.array([71, 0, 30, 0])
    first, second = pictures.load(rows), pictures.load(rows[::-1].copy())
    assert first.shape == (4, 3, 32, 32) and first.dtype == torch.uint8
    assert torch.equal(first.flip(0), second) and torch.equal(first[1], first[3])
    red = first[1, :, 14, 8].tolist()
    assert red[0] > 200 and red[1] < 60 and red[2] < 60


def test_another_size_is_scaled(small_stages: Path) -> None:
    assert Pictures(open_stages(small_stages).stages, 16).load(np.array([5])).shape == (1, 3, 16, 16)


def test_a_picture_that_cannot_be_decoded_is_named(new_stages: Callable[..., Path], tmp_path: Path) -> None:
    damaged = picture(10)[:200]
    opened = open_stages(new_stages(tmp_path / "s", [[("dog", damaged)]], [("dog", damaged)]))
    uid = read_pairs(opened.stages).uids[0]
    with pytest.raises(StagesError, match=f"picture {uid} cannot be decoded"):
        Pictures(opened.stages, 32).load(np.array([0]))


def test_no_sample_at_all_is_one_line() -> None:
    with pytest.raises(StagesError, match="no sample"):
        read_pairs([])
