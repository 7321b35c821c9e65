"""The catalogue: every success of the raw shards once, or a reason why not, and a picture that can be read by seek."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_pictures import corpus, picture, row

from pipeline.files import sha256_bytes
from pipeline.measure.catalogue import CATALOGUE_COLUMNS, unique_images, write_catalogue
from pipeline.sample import sample_uid
from pipeline.tables import read_columns
from pipeline.tar import read_span
from pipeline.workspace import check_funnel


def test_every_picture_can_be_read_at_its_place(tmp_path: Path) -> None:
    raw = corpus(tmp_path, "a", [row(f"drawing {n}", picture(n)) for n in range(5)], rows_per_shard=2)
    counts = write_catalogue({"a": raw}, tmp_path / "signals/samples.parquet", max_characters=100)
    samples = read_columns(tmp_path / "signals/samples.parquet")
    assert counts == {"in": 5, "kept": 5, "dropped": {}}
    assert tuple(samples) == CATALOGUE_COLUMNS
    assert samples["uid"] == sorted(samples["uid"])
    assert set(samples["raw_shard"]) == {f"raw/a/0000{n}.tar" for n in range(3)}
    for n in range(5):
        uid = sample_uid(sha256_bytes(picture(n)), f"drawing {n}")
        place = samples["uid"].index(uid)
        shard, offset, size = (samples[name][place] for name in ("raw_shard", "raw_offset", "raw_size"))
        assert read_span(tmp_path / shard, offset, size) == picture(n)


def test_a_pair_in_two_corpora_stays_in_the_first_of_the_recipe(tmp_path: Path) -> None:
    rows = [row("a cat", picture(1)), row("a cat", picture(1)), row("a cat", picture(2))]
    raw = {"z": corpus(tmp_path, "z", rows), "a": corpus(tmp_path, "a", [*rows, row("a dog", picture(1))])}
    path = tmp_path / "samples.parquet"
    counts = write_catalogue(raw, path, max_characters=100)
    assert counts == {"in": 7, "kept": 3, "dropped": {"repeated_pair": 4}}
    rejected = read_columns(tmp_path / "rejected.parquet", ["caption", "corpus", "reason"])
    assert sorted(rejected["corpus"]) == ["a", "a", "a", "z"] and set(rejected["reason"]) == {"repeated_pair"}
    assert sorted(zip(*read_columns(path, ["caption", "corpus"]).values(), strict=True)) == [
        ("a cat", "z"),
        ("a cat", "z"),
        ("a dog", "a"),
    ]


@pytest.mark.parametrize(
    "caption", ["", " ", "\t\n", "nan", "NaN", " null ", "NULL", "None", "N/A", "<NA>", "\u00a0", "\u200b\u200d"]
)
def test_captions_that_say_nothing_are_dropped(tmp_path: Path, caption: str) -> None:
    raw = corpus(tmp_path, "a", [row(caption, picture(1)), row("nan bread", picture(1))])
    counts = write_catalogue({"a": raw}, tmp_path / "samples.parquet", max_characters=100)
    assert counts == {"in": 2, "kept": 1, "dropped": {"empty_caption": 1}}
    assert read_columns(tmp_path / "samples.parquet")["caption"] == ["nan bread"]


def test_long_captions_are_dropped_before_anything_reads_them(tmp_path: Path) -> None:
    long = "word " * 250_000
    raw = corpus(tmp_path, "a", [row(long, picture(1)), row("x" * 100, picture(1)), row("x" * 101, picture(1))])
    counts = write_catalogue({"a": raw}, tmp_path / "samples.parquet", max_characters=100)
    assert counts == {"in": 3, "kept": 1, "dropped": {"caption_too_long": 2}}
    assert read_columns(tmp_path / "rejected.parquet")["reason"] == ["caption_too_long"] * 2


def test_rows_that_were_not_fetched_are_no_samples(tmp_path: Path) -> None:
    failed = row("a cat", None, status="failed_to_download", reason="http_404")
    raw = corpus(tmp_path, "a", [failed, row("a dog", picture(1))])
    counts = write_catalogue({"a": raw}, tmp_path / "samples.parquet", max_characters=100)
    assert counts == {"in": 1, "kept": 1, "dropped": {}}


def test_captions_of_one_picture_are_samples_with_one_image(tmp_path: Path) -> None:
    raw = corpus(tmp_path, "a", [row("a cat", picture(1)), row("a small cat", picture(1)), row("a dog", picture(2))])
    write_catalogue({"a": raw}, tmp_path / "signals/samples.parquet", max_characters=100)
    assert len(read_columns(tmp_path / "signals/samples.parquet")["uid"]) == 3
    images = unique_images(tmp_path, tmp_path)
    assert list(images) == sorted(sha256_bytes(picture(n)) for n in (1, 2))


@given(st.lists(st.tuples(st.sampled_from(["a cat", "nan", "", "x" * 30]), st.integers(0, 2), st.booleans())))
def test_the_counts_add_up_whatever_comes_in(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, bool]]
) -> None:
    run = tmp_path_factory.mktemp("run")
    pictures = [picture(n, side=4) for n in range(3)]
    raw = {
        name: corpus(run, name, [row(caption, pictures[n]) for caption, n, second in rows if second == (name == "b")])
        for name in ("a", "b")
    }
    counts = write_catalogue(raw, run / "samples.parquet", max_characters=20)
    check_funnel("measure", counts)
    assert counts["in"] == len(rows)
    assert counts["kept"] == len({(caption, n) for caption, n, _ in rows if caption == "a cat"})
