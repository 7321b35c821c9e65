import gc
import io
import itertools
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from essen.data import Pictures, decode_jpeg, rank_rows, read_pairs
from essen.errors import EssenError, StagesError
from pipeline.errors import DataError
from pipeline.shards.read import ShardReader, open_stages


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


def test_pixels_are_those_of_pillow_to_the_bit(book_stages: Path) -> None:
    opened = open_stages(book_stages)
    reader = ShardReader(*opened.stages)
    pixels = Pictures(opened.stages, 32).load(np.arange(len(reader))).permute(0, 2, 3, 1).numpy()
    for row, found in enumerate(pixels):
        with Image.open(io.BytesIO(reader.read(row))) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), found)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_pixels_are_those_of_pillow_however_the_jpeg_was_written(
    corpora: Path, subsampling: int, progressive: bool
) -> None:
    page = next(iter(sorted((corpora / "picturebooks").rglob("*.jpg"))))
    with Image.open(page) as image:
        drawn = image.convert("RGB").resize((61, 61))
    for mode in ("RGB", "L"):
        out = io.BytesIO()
        drawn.convert(mode).save(out, "JPEG", quality=75, subsampling=subsampling, progressive=progressive)
        place = np.empty((61, 61, 3), np.uint8)
        decode_jpeg(out.getvalue(), place)
        with Image.open(out) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), place)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_worker_room_or_guess_changes_a_pixel(small_stages: Path, data: st.DataObject) -> None:
    stages = open_stages(small_stages).stages
    batches = [np.array(rows) for rows in data.draw(st.lists(st.lists(st.integers(0, 71), min_size=1), max_size=6))]
    guesses = [np.array(rows) for rows in data.draw(st.lists(st.lists(st.integers(0, 71)), max_size=6))]
    pictures = Pictures(stages, 32, memory=data.draw(st.sampled_from([0, 1])), workers=data.draw(st.integers(1, 5)))
    plain = Pictures(stages, 32, workers=1).load(np.arange(72))
    for rows, guess in itertools.zip_longest(batches, guesses):
        if guess is not None:
            pictures.expect(guess.astype(np.int64))
        if rows is not None:
            assert torch.equal(pictures.load(rows), plain[torch.from_numpy(rows)])


def test_what_does_not_fit_is_decoded_anew(small_stages: Path) -> None:
    stages = open_stages(small_stages).stages
    whole = Pictures(stages, 128).load(np.arange(72))
    pictures = Pictures(stages, 128, memory=1)  # 21 of them
    for _ in range(2):
        rows = np.random.default_rng(0).permutation(72)
        assert torch.equal(pictures.load(rows), whole[torch.from_numpy(rows)])


def test_one_shard_and_many_workers(new_stages: Callable[..., Path], tmp_path: Path) -> None:
    pairs = [(f"shade {shade}", picture(shade)) for shade in range(0, 250, 25)]
    stages = open_stages(new_stages(tmp_path / "s", [pairs], pairs[:1])).stages
    assert len(stages[0].entry["shards"]) == 1
    pixels = Pictures(stages, 32, workers=16).load(np.arange(10))
    assert pixels[:, 0, 0, 0].tolist() == list(range(0, 250, 25))


@pytest.mark.parametrize("expected", [False, True])
def test_the_first_damaged_picture_of_a_batch_is_named(
    new_stages: Callable[..., Path], tmp_path: Path, expected: bool
) -> None:
    pairs = [(f"shade {k}", picture(k) if k % 100 else picture(k)[:300]) for k in range(1, 240)]
    opened = open_stages(new_stages(tmp_path / "s", [pairs], pairs[:1]))
    uids = read_pairs(opened.stages).uids
    pictures = Pictures(opened.stages, 32, memory=0, workers=4)
    for rows in (np.arange(239), np.arange(239)[::-1].copy()):
        if expected:
            pictures.expect(rows)
        first = uids[next(row for row in rows if (row + 1) % 100 == 0)]
        with pytest.raises(StagesError, match=f"picture {first} cannot be decoded"):
            pictures.load(rows)
    assert pictures.load(np.arange(90)).shape == (90, 3, 32, 32)


def test_a_wrong_guess_with_a_damaged_picture_does_no_harm(new_stages: Callable[..., Path], tmp_path: Path) -> None:
    pairs = [("dog", picture(10)), ("cat", b"\xff\xd8 nothing")]
    pictures = Pictures(open_stages(new_stages(tmp_path / "s", [pairs], pairs[:1])).stages, 32)
    pictures.expect(np.array([0, 1]))
    assert len(pictures.load(np.array([0, 0]))) == 2


def test_more_flipped_bits_are_noticed_than_by_pillow(drawing: Callable[[str], bytes]) -> None:
    whole, ours, pillow = drawing("red"), 0, 0
    for position in range(16, len(whole) * 8, 37):
        data = bytearray(whole)
        data[position // 8] ^= 1 << position % 8
        try:
            decode_jpeg(bytes(data), np.empty((32, 32, 3), np.uint8))
        except ValueError:
            ours += 1
        try:
            with Image.open(io.BytesIO(data)) as image:
                image.load()
        except (OSError, SyntaxError):
            pillow += 1
    assert ours > pillow > 0


def test_printers_colours_are_refused() -> None:
    out = io.BytesIO()
    Image.new("CMYK", (32, 32)).save(out, "JPEG")
    with pytest.raises(ValueError, match="colours are CMYK"):
        decode_jpeg(out.getvalue(), np.empty((32, 32, 3), np.uint8))


def test_a_shard_that_is_cut_or_gone_while_it_is_read_is_named(new_stages: Callable[..., Path], tmp_path: Path) -> None:
    pairs = [(f"shade {shade}", picture(shade)) for shade in range(40)]
    stages = open_stages(new_stages(tmp_path / "s", [pairs], pairs[:1])).stages
    pictures = Pictures(stages, 32, memory=0)
    pictures.load(np.arange(40))
    first, second = (stages[0].folder / entry["file"] for entry in stages[0].entry["shards"])
    with first.open("r+b") as file:
        file.truncate(1024)
    with pytest.raises(DataError, match=r"1-stage/00000.tar ends before the picture"):
        pictures.load(np.arange(40))
    second.unlink()
    with pytest.raises(DataError, match=r"1-stage/00001.tar is missing"):
        Pictures(stages, 32).load(np.array([39]))


def test_memory_is_that_of_two_batches_however_long_it_runs(book_stages: Path) -> None:
    stages = open_stages(book_stages).stages
    pictures = Pictures(stages, 128, memory=0)
    rows = np.random.default_rng(0)
    tracemalloc.start()
    for _ in range(20):
        pictures.load(rows.permutation(100))
        pictures.expect(rows.permutation(100))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3.5 * 100 * 3 * 128 * 128


def test_threads_end_when_pictures_are_closed_or_dropped(small_stages: Path) -> None:
    before = set(threading.enumerate())
    stages = open_stages(small_stages).stages
    closed, dropped = (Pictures(stages, 32, workers=3) for _ in range(2))
    for pictures in (closed, dropped):
        pictures.load(np.arange(72))
        pictures.expect(np.arange(72))
    started = set(threading.enumerate()) - before
    assert len(started) == 6
    closed.close()
    assert sum(thread.is_alive() for thread in started) == 3
    del dropped, pictures
    gc.collect()
    for thread in started:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in started)


def test_a_process_that_is_done_or_fails_does_not_wait_for_what_it_expected(small_stages: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from essen.data import Pictures; from pipeline.shards.read import open_stages\n"
        f"pictures = Pictures(open_stages(Path({str(small_stages)!r})).stages, 32, memory=0)\n"
        "pictures.load(np.arange(72)); pictures.expect(np.arange(72)); sys.exit(7)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 7


@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_take_one_batch_apart(small_stages: Path, world: int) -> None:
    stages = open_stages(small_stages).stages
    rows = np.random.default_rng(0).integers(0, 72, 16)
    whole = Pictures(stages, 32).load(rows)
    parts = [Pictures(stages, 32, memory=0).load(rank_rows(rows, rank, world)) for rank in range(world)]
    assert torch.equal(torch.cat(parts), whole) and {len(part) for part in parts} == {16 // world}


def test_a_batch_that_cannot_be_divided_is_one_line() -> None:
    with pytest.raises(EssenError, match=r"a batch of 250 cannot be divided among 4 processes; .* multiple of 4$"):
        rank_rows(np.arange(250), 0, 4)
