"""Search by picture, by sample and by words; an index that was damaged or is of other data is refused."""

import shutil
from pathlib import Path

import faiss
import numpy as np
import pytest
from PIL import Image

from pipeline import files
from pipeline.errors import ConfigError, DataError
from pipeline.index import IndexConfig, build_index, contact_sheet, open_index, search
from pipeline.measure.config import EmbedConfig
from pipeline.measure.embed import read_embeddings
from pipeline.measure.measure import embed
from pipeline.tables import read_columns, write_table
from pipeline.tar import read_span


@pytest.fixture(scope="module")
def run(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an index; 160 drawings of which the split keeps all."""
    copy = tmp_path_factory.mktemp("index") / "run"
    shutil.copytree(small_run, copy)
    embed(EmbedConfig(image_size=64), copy, copy)
    counts = build_index(IndexConfig(), "efficientnet-lite0", copy, copy)
    assert counts["samples"] == 160
    return copy


@pytest.fixture
def own(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def rows(run: Path) -> list[dict[str, object]]:
    columns = read_columns(run / "signals/samples.parquet")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def test_a_sample_finds_its_neighbours_as_brute_force_does(run: Path) -> None:
    names, vectors = read_embeddings(run / "embeddings/efficientnet-lite0")
    image_of = {row["uid"]: row["image_sha256"] for row in rows(run)}
    for row in rows(run)[:5]:
        scores = vectors @ vectors[names.index(row["image_sha256"])]
        expected = sorted(
            (name for name in names if name != row["image_sha256"]), key=lambda n: -scores[names.index(n)]
        )
        hits = search(run, uid=str(row["uid"]), k=5)
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1][1:6], atol=1e-5)
        assert image_of[hits[0].uid] == expected[0]
        assert row["image_sha256"] not in {image_of[hit.uid] for hit in hits}


def test_a_picture_file_finds_itself(run: Path, tmp_path: Path) -> None:
    row = rows(run)[7]
    path = tmp_path / f"query.{row['ext']}"
    path.write_bytes(read_span(run / str(row["raw_shard"]), int(str(row["raw_offset"])), int(str(row["raw_size"]))))
    best = search(run, image=path, k=1)[0]
    assert (best.uid, best.caption, best.corpus) == (row["uid"], row["caption"], row["corpus"])
    assert best.score == pytest.approx(1, abs=1e-4)


def test_words_find_captions(run: Path) -> None:
    hits = search(run, text="Purple CIRCLE!", k=3)
    assert hits[0].caption == "purple circle" and hits[0].score == pytest.approx(1)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert search(run, text="zebra", k=3) == []


def test_more_than_there_are_gives_all_and_no_row_twice(run: Path) -> None:
    hits = search(run, uid=str(rows(run)[0]["uid"]), k=10_000)
    pictures = len({row["image_sha256"] for row in rows(run)})
    assert len(hits) == len({hit.uid for hit in hits}) == pictures - 1


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    build_index(IndexConfig(), "efficientnet-lite0", run, tmp_path)
    for file in ("image.faiss", "samples.parquet", "header.json"):
        assert files.sha256_file(tmp_path / "index" / file) == files.sha256_file(run / "index" / file)


def test_a_contact_sheet_is_a_picture_with_a_cell_for_each_hit(run: Path, tmp_path: Path) -> None:
    contact_sheet(run, search(run, text="red", k=7), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > sheet.height
        colours = {colour for _, colour in sheet.getcolors(1 << 20) or []}
    assert (255, 0, 0) in colours
    contact_sheet(run, [], tmp_path / "empty.png")
    assert (tmp_path / "empty.png").is_file()


def test_what_cannot_be_looked_for_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has kept no sample 0000"):
        search(run, uid="0000")
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(ConfigError, match=r"no.png cannot be used as a picture"):
        search(run, image=tmp_path / "no.png")
    with pytest.raises(ConfigError, match="cannot be used as a picture"):
        search(run, image=tmp_path / "missing.png")
    with pytest.raises(ConfigError, match="has no index"):
        search(tmp_path, text="red")


def test_a_damaged_index_is_refused_and_never_read(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = faiss.read_index
    monkeypatch.setattr(faiss, "read_index", lambda path: (opened.append(path), real(path))[1])
    path = own / "index/image.faiss"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[: rng.integers(len(whole))] for _ in range(50)] + [b"", b"\0" * len(whole), rng.bytes(len(whole))]
    for _ in range(147):
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        damaged.append(bytes(flipped))
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"image.faiss is damaged; remove .* and run the recipe again"):
            open_index(own)
    assert opened == []
    path.write_bytes(whole)
    assert open_index(own).vectors.ntotal == len({row["image_sha256"] for row in rows(own)})


def test_a_changed_or_missing_table_is_refused(own: Path) -> None:
    table = read_columns(own / "index/samples.parquet")
    write_table(own / "index/samples.parquet", {**table, "row": table["row"][::-1]})
    with pytest.raises(DataError, match=r"samples.parquet is damaged"):
        search(own, text="red")
    (own / "index/samples.parquet").unlink()
    with pytest.raises(DataError, match=r"samples.parquet is damaged"):
        search(own, text="red")


def test_an_index_of_other_embeddings_is_refused(own: Path) -> None:
    embed(EmbedConfig(image_size=32), own, own)
    with pytest.raises(DataError, match="was built from other embeddings"):
        open_index(own)
    shutil.rmtree(own / "embeddings")
    with pytest.raises(DataError, match="was built from other embeddings"):
        open_index(own)


def test_vectors_that_cannot_be_compared_are_not_indexed(own: Path, tmp_path: Path) -> None:
    folder = own / "embeddings/efficientnet-lite0"
    vectors = np.load(folder / "image.npy")
    for bad in (np.nan, np.inf, 0.0):
        spoilt = vectors.copy()
        spoilt[3] = bad
        np.save(folder / "image.npy", spoilt)
        with pytest.raises(DataError, match="1 vectors are not finite or not of unit length"):
            build_index(IndexConfig(), "efficientnet-lite0", own, tmp_path)


def test_a_kept_picture_without_a_vector_is_not_passed_over(own: Path, tmp_path: Path) -> None:
    folder = own / "embeddings/efficientnet-lite0"
    np.save(folder / "image.npy", np.load(folder / "image.npy")[:-1])
    files.write_json(folder / "images.json", files.read_json(folder / "images.json")[:-1])
    with pytest.raises(DataError, match="no vector for 1 kept pictures"):
        build_index(IndexConfig(), "efficientnet-lite0", own, tmp_path)
