"""What an index is tied to: damaged, or beside other data, it is refused, and FAISS never sees a byte of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import files
from pipeline.errors import ConfigError, DataError
from pipeline.index.config import IndexConfig
from pipeline.index.store import build_index, open_index
from pipeline.measure.config import EmbedConfig
from pipeline.tables import read_columns, write_table

ENCODERS = EmbedConfig(image_size=64)
FILES = ("image.faiss", "text.faiss", "samples.parquet", "header.json")

# Opens an index once for each line of its input, after writing there what the line says; prints what came of it.
FUZZER = """
import json, sys
from pathlib import Path
from pipeline.errors import DataError
from pipeline.index.store import open_index
run = Path(sys.argv[1])
for line in sys.stdin:
    case = json.loads(line)
    path = run / "index" / case["file"]
    whole = path.read_bytes()
    path.write_bytes(bytes.fromhex(case["bytes"]))
    try:
        index = open_index(run)
        for side in ("image", "text"):
            index.vectors(side)
        print("accepted", flush=True)
    except DataError as error:
        named = case["file"] in str(error) and "essen run RECIPE --until index" in str(error)
        print("named" if named else str(error), flush=True)
    path.write_bytes(whole)
"""


def test_two_hundred_damaged_files_are_detected_and_none_crashes(own: Path) -> None:
    rng = np.random.default_rng(0)
    cases = []
    for number in range(200):
        name = FILES[number % len(FILES)]
        whole = (own / "index" / name).read_bytes()
        kind = number // len(FILES) % 5
        data = bytearray(whole)
        if kind == 0:
            data = data[: rng.integers(len(whole))]
        elif kind == 1:
            data = bytearray(len(whole)) if number % 2 else bytearray()
        elif kind == 2:
            data = bytearray(rng.bytes(len(whole)))
        elif kind == 3:
            data += rng.bytes(7)
        else:
            data[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        cases.append({"file": name, "bytes": bytes(data).hex()})
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run(
        [sys.executable, "-c", FUZZER, str(own)], input=lines, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["named"] * 200
    assert open_index(own).vectors("image").ntotal == 160


def test_the_same_run_gives_the_same_bytes(indexed: Path, tmp_path: Path) -> None:
    counts = build_index(IndexConfig(), ENCODERS, indexed, tmp_path)
    assert counts == {"samples": 160, "pictures": 160, "captions": 160}
    for name in FILES:
        assert files.sha256_file(tmp_path / "index" / name) == files.sha256_file(indexed / "index" / name)


def test_the_header_says_what_it_is_of(indexed: Path) -> None:
    header = files.read_json(indexed / "index/header.json")
    for side, dim, encoder in (("image", 1280, "efficientnet-lite0"), ("text", 384, "minilm")):
        about = header[side]
        assert (about["dim"], about["rows"], about["factory"], about["normalised"]) == (dim, 160, "Flat", True)
        assert about["embeddings"]["encoder"]["encoder"] == encoder
        assert len(about["embeddings"]["encoder"]["weights_sha256"]) == 64
    assert header["data"]["selection/kept.parquet"] == files.sha256_file(indexed / "selection/kept.parquet")


def test_without_an_index_the_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no index; run its recipe at least that far"):
        open_index(tmp_path)


def test_another_selection_is_refused(own: Path) -> None:
    split = read_columns(own / "selection/kept.parquet")
    write_table(own / "selection/kept.parquet", {name: values[:-1] for name, values in split.items()})
    with pytest.raises(DataError, match="was built from another selection"):
        open_index(own)


def test_a_stale_encoder_is_refused(own: Path) -> None:
    header = own / "embeddings/efficientnet-lite0/header.json"
    files.write_json(header, {**files.read_json(header), "weights_sha256": "0" * 64})
    with pytest.raises(DataError, match="was built from other embeddings"):
        open_index(own)
    shutil.rmtree(own / "embeddings")
    with pytest.raises(DataError, match="was built from other embeddings"):
        open_index(own)


def test_rows_that_are_not_those_of_the_samples_are_refused(own: Path) -> None:
    """Each file is whole, and the header knows its hash; but they do not belong together."""
    folder = own / "index"
    table = read_columns(folder / "samples.parquet")
    write_table(folder / "samples.parquet", {name: values[:-1] for name, values in table.items()})
    seal(folder)
    with pytest.raises(DataError, match=r"image.faiss holds other rows than samples.parquet names"):
        open_index(own).vectors("image")
    write_table(folder / "samples.parquet", {**table, "text_row": [0] * 160})
    seal(folder)
    with pytest.raises(DataError, match=r"text.faiss holds other rows"):
        open_index(own).vectors("text")


def test_an_index_of_another_version_is_refused(own: Path) -> None:
    seal(own / "index", format="essen-index/1")
    with pytest.raises(DataError, match="of another version"):
        open_index(own)


def seal(folder: Path, **changes: Any) -> None:
    """Write a header that vouches for the files as they are."""
    header = {**files.read_json(folder / "header.json"), **changes}
    header["files"] = {name: files.sha256_file(folder / name) for name in header["files"]}
    del header["sha256"]
    files.write_json(folder / "header.json", {**header, "sha256": files.digest(header)})


@pytest.mark.parametrize("side", ["image", "text"])
@pytest.mark.parametrize("kind", ["nan", "inf", "zero", "long", "wrong dim", "float64", "by columns", "missing row"])
def test_vectors_that_cannot_be_compared_are_refused_with_their_samples(
    side: str, kind: str, own: Path, tmp_path: Path
) -> None:
    folder = own / "embeddings" / ("efficientnet-lite0" if side == "image" else "minilm")
    listed = "images.json" if side == "image" else "captions.json"
    path, names = folder / f"{side}.npy", files.read_json(folder / listed)
    vectors = np.load(path)
    single = {"nan": np.nan, "inf": np.inf, "zero": 0.0, "long": 1.0}
    if kind in single:
        vectors[3] = single[kind]
    elif kind == "missing row":
        vectors = np.delete(vectors, 3, axis=0)
        files.write_json(folder / listed, names[:3] + names[4:])
    else:
        vectors = {
            "wrong dim": vectors[:, :-1].copy(),
            "float64": vectors.astype(np.float64),
            "by columns": np.asfortranarray(vectors),
        }[kind]
    np.save(path, vectors)
    with pytest.raises(DataError) as caught:
        build_index(IndexConfig(), ENCODERS, own, tmp_path / "out")
    samples = read_columns(own / "signals/samples.parquet", ["uid", "image_sha256", "caption"])
    of = samples["image_sha256" if side == "image" else "caption"]
    affected = {uid for uid, name in zip(samples["uid"], of, strict=True) if name == names[3]}
    single_row = kind in single or kind == "missing row"
    named = {uid for uid in samples["uid"] if uid in str(caught.value)}
    assert named == affected if single_row else len(named) == 20 and "and 140 more" in str(caught.value)
    assert "run the recipe again" in str(caught.value)
    assert not (tmp_path / "out/index/header.json").exists()


def test_captions_that_live_on_are_indexed(own: Path, tmp_path: Path) -> None:
    """The caption of a dropped duplicate is found, with the picture that stayed."""
    kept = read_columns(own / "selection/kept.parquet")
    pair = {**{name: values[0] for name, values in kept.items()}, "uid": "f" * 32, "caption": kept["caption"][5]}
    write_table(own / "selection/kept.parquet", {name: [*values, pair[name]] for name, values in kept.items()})
    with pytest.raises(DataError, match="another selection"):
        open_index(own)
    counts = build_index(IndexConfig(), ENCODERS, own, own)
    assert counts == {"samples": 161, "pictures": 160, "captions": 160}
    assert open_index(own).samples["uid"][-1] == "f" * 32
