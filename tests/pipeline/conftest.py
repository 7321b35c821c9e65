"""A small run directory with real pictures, real raw shards and signals of known values."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw

from pipeline.acquire.raw import RawRow, raw_tables, write_raw
from pipeline.sample import COLUMNS, sample_uid
from pipeline.tables import read_columns, write_table

# A first call imports numpy or scipy, and CI machines are shared: time says nothing about a property.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

COLOURS = ("red", "green", "blue", "orange", "purple", "black", "brown", "pink")
SHAPES = ("circle", "square", "line", "arc")
PLACES = ("", "here", "up high", "far down below", "in the very middle")


def draw(colour: str, shape: str, place: int, kind: str) -> bytes:
    """A drawing of 48 × 32 pixels, transparent where the format allows it."""
    image = Image.new("RGBA" if kind == "PNG" else "RGB", (48, 32), (255, 255, 255, 0) if kind == "PNG" else "white")
    pen = ImageDraw.Draw(image)
    box = (2 + 6 * place, 4, 16 + 6 * place, 24)
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    elif shape == "line":
        pen.line(box, fill=colour, width=3)
    else:
        pen.arc(box, 0, 270, fill=colour, width=2)
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def raw_rows() -> dict[str, list[RawRow]]:
    """160 drawings in two corpora."""
    corpora: dict[str, list[RawRow]] = {"lines": [], "shapes": []}
    for colour in COLOURS:
        for shape in SHAPES:
            for place, words in enumerate(PLACES):
                corpus = "lines" if shape in ("line", "arc") else "shapes"
                kind = "PNG" if corpus == "shapes" else "JPEG"
                corpora[corpus].append(
                    RawRow(
                        url=f"test:{colour}/{shape}/{place}",
                        caption=f"{colour} {shape} {words}".strip(),
                        image=draw(colour, shape, place, kind),
                        ext={"PNG": "png", "JPEG": "jpg"}[kind],
                        group=f"{colour} {shape}",
                        category="form" if corpus == "shapes" else "",
                        lang="en",
                        licence="MIT" if corpus == "shapes" else "CC-BY-4.0",
                        licence_source="card",
                        attribution="=HYPERLINK(1)|<b>" if colour == "red" else "The painters",
                        width=48,
                        height=32,
                    )
                )
    return corpora


def samples_of(run: Path) -> list[dict[str, Any]]:
    """The rows of signals/samples.parquet, sorted by uid."""
    rows = []
    for table in (table for folder in sorted((run / "raw").iterdir()) for table in raw_tables(folder)):
        columns = read_columns(table)
        with tarfile.open(table.with_suffix(".tar")) as tar:
            for number, key in enumerate(columns["key"]):
                raw = {name: columns[name][number] for name in columns}
                member = tar.getmember(f"{key}.{raw['ext']}")
                uid, corpus = sample_uid(raw["sha256"], raw["caption"]), table.parent.name
                row = {**raw, "uid": uid, "image_sha256": raw["sha256"], "corpus": corpus}
                place = {"raw_offset": member.offset_data, "raw_size": member.size}
                named = {name: row[name] for name in (*COLUMNS, "licence_source", "category", "ext")}
                rows.append({**named, "raw_shard": f"raw/{corpus}/{table.stem}.tar", **place})
    return sorted(rows, key=lambda row: str(row["uid"]))


def make_run(run: Path) -> Path:
    """Write raw/, signals/ and selection/ below a directory."""
    for corpus, rows in raw_rows().items():
        write_raw(rows, run / "raw" / corpus)
    samples = samples_of(run)
    uid = [row["uid"] for row in samples]
    words = [row["caption"].split() for row in samples]
    write_table(run / "signals/samples.parquet", {name: [row[name] for row in samples] for name in samples[0]})
    write_table(run / "signals/rejected.parquet", pa.table({name: pa.array([], pa.string()) for name in samples[0]}))
    write_table(
        run / "signals/caption.parquet",
        {
            "uid": uid,
            "tokens": [len(w) for w in words],
            "parse_depth": [1 + len(w) // 3 for w in words],
            "nouns": [[w[1]] for w in words],
            "head_noun": [w[1] for w in words],
        },
    )
    zipf = [[6.0 - len(word) / 3 for word in w] for w in words]
    means = [None if w[0] == "pink" else sum(z) / len(z) for w, z in zip(words, zipf, strict=True)]
    write_table(run / "signals/lexicon.parquet", {"uid": uid, "zipf_mean": means, "zipf_min": [min(z) for z in zipf]})
    clutter = [int(u[:4], 16) / 65_535 for u in uid]
    write_table(run / "signals/image.parquet", {"uid": uid, "edge_density": clutter, "entropy": clutter[::-1]})
    split = {"pink": "test_names", "brown": "validation"}
    write_table(
        run / "selection/kept.parquet",
        {
            **{name: [row[name] for row in samples] for name in samples[0]},
            "caption_uid": uid,
            "picture_uid": uid,
            "component": [row["group"] for row in samples],
            "split": [split.get(w[0], "train") for w in words],
        },
    )
    return run


@pytest.fixture(scope="session")
def new_run() -> Callable[[Path], Path]:
    """A function that makes the run below the directory that it is given."""
    return make_run


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with raw/, signals/, selection/, curriculum/ and stages/ (32 px); copy it to change it."""
    from pipeline.curriculum.config import CurriculumConfig
    from pipeline.curriculum.order import order
    from pipeline.shards.config import StageConfig
    from pipeline.shards.stage import stage

    run = make_run(tmp_path_factory.mktemp("small") / "run")
    order(CurriculumConfig(stages=("one", "two", "three")), run, run)
    stage(StageConfig(image_size=32), run, run, workers=1)
    return run
