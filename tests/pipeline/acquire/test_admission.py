"""Rows under the rules that hold for every engine, and decoders that fail."""

import json
from dataclasses import replace

import pytest
from acquire_helpers import encoded, noise
from faulty_spans import FaultySpan

from pipeline.acquire import acquire as acquisition
from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.admission import Found, Span, admitted, settled
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.pictures.admit import VERSION
from pipeline.acquire.raw import SUCCESS, RawRow, raw_tables, read_raw
from pipeline.acquire.text import MAX_CHARACTERS
from pipeline.parallel import Limits
from pipeline.tables import read_columns, write_table

MAX = 1_000_000
JPEG = encoded(noise(1), "JPEG")
NOTHING = [None, float("nan"), "", "   ", "\t\n", "nan", "NaN", "null", "None", "\u200b\u2060\ufeff"]


def row(number: int, caption: str = "a red ball") -> RawRow:
    return RawRow(url=f"test:{number}", caption=caption)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_row_comes_back_in_order_with_its_picture_or_a_reason(tmp_path, workers):
    (tmp_path / "blob").write_bytes(b"xx" + JPEG + b"yy")
    found = [
        Found(row(0), JPEG),
        Found(row(1), Span(tmp_path / "blob", 2, len(JPEG))),
        Found(row(2), Span(tmp_path / "none")),
        Found(row(3)),
        Found(row(4), JPEG, sha256="0" * 64),
        Found(row(5), b"<html>"),
        Found(replace(row(6), status="excluded", reason="flag"), JPEG),
        Found(row(7, " "), JPEG),
        Found(row(8, "cafÃ©"), encoded(noise(2, mode="RGBA"), "PNG")),
    ] * 3
    rows = list(admitted(found, max_pixels=MAX, workers=workers))
    assert [r.url for r in rows] == [f.row.url for f in found]
    assert [r.reason for r in rows[:9]] == ["", "", "missing_file", "missing_file", "hash_mismatch", "not_an_image",
                                            "flag", "empty_caption", ""]  # fmt: skip
    assert rows[0].image == rows[1].image == JPEG
    assert (rows[8].caption, rows[8].error_message) == ("café", "caption decoded again, transparency on white")
    assert rows[:9] == rows[9:18] == rows[18:]


def test_decoders_that_crash_hang_or_grow_cost_their_pictures_alone(tmp_path):
    limits = Limits(seconds=1.0, memory=600 << 20)
    spans = [FaultySpan(tmp_path / name) for name in ("abort", "hang", "allocate")]
    found = [Found(row(n), spans[n // 10] if n % 10 == 5 else JPEG) for n in range(30)]
    rows = list(admitted(found, max_pixels=MAX, workers=2, limits=limits))
    assert [r.reason for r in rows] == ["decoder_crash" if n % 10 == 5 else "" for n in range(30)]
    assert {r.status for r in rows if r.reason} == {"failed_to_resize"}


def test_one_worker_is_isolated_where_it_is_asked_for(tmp_path):
    found = [Found(row(0), JPEG), Found(row(1), FaultySpan(tmp_path / "abort")), Found(row(2), JPEG)]
    rows = admitted(found, max_pixels=MAX, workers=1, isolated=True)
    assert [r.reason for r in rows] == ["", "decoder_crash", ""]


def test_a_picture_that_does_not_fit_into_memory_is_a_crash():
    picture = encoded(noise(1, mode="RGBA", size=(2_000, 1_500)), "PNG", compress_level=1)
    limits = Limits(seconds=60, memory=100 << 20)
    rows = list(admitted([Found(row(0), picture), Found(row(1), JPEG)], max_pixels=10 * MAX, workers=2, limits=limits))
    assert [r.reason for r in rows] == ["decoder_crash", ""]


@pytest.fixture
def engine(monkeypatch):
    """Let an engine of the test's own stand for that of folders; it yields the rows that the list holds."""
    rows: list[RawRow] = []

    class Listed:
        def rows(self, *_):
            yield from rows

        def params(self, *_):
            return {}

    monkeypatch.setattr(acquisition, "ENGINES", {**acquisition.ENGINES, "folder": Listed()})
    return rows


def test_captions_that_say_nothing_are_dropped_whatever_the_engine(engine, write_card, tmp_path):
    texts = [str(text) for text in NOTHING]  # as an engine hands them on that knows no better
    engine += [RawRow(url=f"t:{n}", caption=text, image=JPEG, ext="jpg") for n, text in enumerate([*texts, "a ball"])]
    counts = acquire(write_card("{engine: folder, path: .}"), AcquireOptions(), tmp_path / "run")
    assert counts == {"in": 11, "kept": 1, "dropped": {"empty_caption": 10}}
    table = read_columns(raw_tables(tmp_path / "run/raw/mine")[0])
    assert table["caption"] == [""] * 10 + ["a ball"]
    assert table["status"] == ["excluded"] * 10 + [SUCCESS]


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_captions_that_say_nothing_are_dropped_from_every_kind_of_list(write_card, tmp_path, kind):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(JPEG)
    captions = [*NOTHING, "a ball"]
    if kind == "jsonl":
        lines = (json.dumps({"file_name": "a.jpg", "caption": caption}) + "\n" for caption in captions)
        (folder / "metadata.jsonl").write_text("".join(lines))
    elif kind == "parquet":
        texts = [None if caption != caption else caption for caption in captions]
        write_table(folder / "metadata.parquet", {"file_name": ["a.jpg"] * len(texts), "caption": texts})
    else:
        lines = (f'a.jpg,"{"" if caption is None else caption}"\n' for caption in captions)
        (folder / "metadata.csv").write_text("file_name,caption\n" + "".join(lines))
    counts = acquire(write_card("{engine: folder, path: pictures}"), AcquireOptions(), tmp_path / "run")
    assert counts == {"in": 11, "kept": 1, "dropped": {"empty_caption": 10}}


def test_captions_without_end_or_sense_are_dropped_with_their_pictures(engine, write_card, tmp_path):
    captions = ["a" * 1_200_000, "word " * 10_000, "a caf\ufffd", "cafÃ©", "a ball"]
    engine += [RawRow(url=f"t:{n}", caption=text, image=JPEG, ext="jpg") for n, text in enumerate(captions)]
    counts = acquire(write_card("{engine: folder, path: .}"), AcquireOptions(), tmp_path / "run")
    assert counts == {"in": 5, "kept": 2, "dropped": {"bad_encoding": 1, "caption_too_long": 2}}
    table = read_columns(raw_tables(tmp_path / "run/raw/mine")[0])
    assert all(len(caption) <= 200 for caption in table["caption"])
    assert table["error_message"][0] == f"1,200,000 characters, {MAX_CHARACTERS:,} allowed"
    assert [row["caption"] for row, _ in read_raw(tmp_path / "run/raw/mine")] == ["café", "a ball"]
    assert table["error_message"][3] == "caption decoded again"


@pytest.mark.parametrize(("animated", "kept"), [("first", 2), ("drop", 1)])
def test_an_animation_is_its_first_frame_or_nothing(write_card, tmp_path, animated, kept):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.gif").write_bytes(encoded(noise(1), "GIF", save_all=True, append_images=[noise(2)]))
    (folder / "b.jpg").write_bytes(JPEG)
    for name in "ab":
        (folder / f"{name}.txt").write_text("a ball")
    card = write_card(f"{{engine: folder, path: pictures, animated: {animated}}}")
    counts = acquire(card, AcquireOptions(), tmp_path / "run")
    assert counts == {"in": 2, "kept": kept, "dropped": {} if kept == 2 else {"animated": 1}}
    table = read_columns(raw_tables(tmp_path / "run/raw/mine")[0])
    assert table["animated"] == [kept == 2, False]
    assert source_params(card, AcquireOptions())["admission"] == VERSION


def test_settling_twice_changes_nothing():
    rows = [row(0, "cafÃ©"), row(1, "nan"), row(2, "a\ufffd"), replace(row(3), error_message="a\x1b[2Jb\u202ec")]
    once = list(settled(rows))
    assert list(settled(once)) == once
    assert once[3].error_message == "a [2Jb c"


def test_text_files_beside_pictures_are_read_in_their_own_encodings(write_card, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    captions = {
        "a": "un café".encode("latin-1"),
        "b": "ein Käfer".encode("utf-16"),
        "c": "cafÃ©".encode(),
        "d": b"\x81",
    }
    for name, caption in captions.items():
        (folder / f"{name}.jpg").write_bytes(JPEG)
        (folder / f"{name}.txt").write_bytes(caption)
    counts = acquire(write_card("{engine: folder, path: pictures}"), AcquireOptions(), tmp_path / "run")
    assert counts == {"in": 4, "kept": 3, "dropped": {"bad_encoding": 1}}
    assert [row["caption"] for row, _ in read_raw(tmp_path / "run/raw/mine")] == ["un café", "ein Käfer", "café"]
