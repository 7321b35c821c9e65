"""The index of a run: nearest pictures by FAISS, captions by TF-IDF, tied to the data that it was built from.

``index/image.faiss`` holds the vectors of the kept pictures (exact inner product), ``index/samples.parquet`` the kept
samples with the row of their picture, ``index/header.json`` the hash of every file, the encoder's identity and the
digest of the embeddings. Opening it after a file has changed, or beside other embeddings, fails before FAISS reads a
byte.
"""

import io
from collections import Counter
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline import files
from pipeline.config import Config
from pipeline.errors import ConfigError, DataError
from pipeline.measure.caption import words_of
from pipeline.measure.embed import EfficientNetLite0, Encoder, read_embeddings, stretched
from pipeline.shards.picture import PictureError, decode_rgb, letterbox
from pipeline.tables import read_columns, write_table
from pipeline.tar import read_span
from pipeline.workspace import Counts

if TYPE_CHECKING:
    import faiss
    import numpy as np
    from PIL import Image

INDEXED = ("image.faiss", "samples.parquet")
TILE = 128


class IndexConfig(Config):
    """How kept pictures are indexed."""

    factory: str = Field(default="Flat", pattern="^Flat$", description="FAISS factory string; exact")


@dataclass(frozen=True, slots=True)
class Hit:
    """A sample that was found: cosine of the pictures, or TF-IDF cosine of the words."""

    uid: str
    score: float
    caption: str
    corpus: str


@dataclass(frozen=True, slots=True)
class Index:
    """An opened index: one row a kept sample, and the row of its picture among the vectors."""

    header: dict[str, Any]
    samples: dict[str, list[Any]]
    vectors: "faiss.Index"


def build_index(config: IndexConfig, encoder: str, run: Path, out: Path) -> Counts:
    """Write ``index/`` for the kept samples of a run.

    Args:
        encoder: name of the folder below ``embeddings/``.

    Raises:
        DataError: a kept picture has no vector, or a vector is not of unit length.
    """
    import faiss

    names, vectors = read_embeddings(run / "embeddings" / encoder)
    rows = {name: row for row, name in enumerate(names)}
    kept = set(read_columns(run / "selection/split.parquet", ["uid"])["uid"])
    catalogue = read_columns(run / "signals/samples.parquet", ["uid", "image_sha256", "caption", "corpus"])
    samples = [row for row in zip(*catalogue.values(), strict=True) if row[0] in kept]
    images = sorted({image for _, image, _, _ in samples})
    missing = [image for image in images if image not in rows]
    if missing:
        raise DataError(f"embeddings/{encoder} has no vector for {len(missing)} kept pictures; remove it and run again")
    index = faiss.index_factory(vectors.shape[1], config.factory, faiss.METRIC_INNER_PRODUCT)
    index.add(vectors[[rows[image] for image in images]])
    place = {image: row for row, image in enumerate(images)}
    folder = out / "index"
    folder.mkdir(parents=True, exist_ok=True)
    faiss.write_index(index, str(folder / "image.faiss"))
    columns = {name: [row[column] for row in samples] for column, name in enumerate(catalogue)}
    write_table(folder / "samples.parquet", {**columns, "row": [place[image] for image in columns["image_sha256"]]})
    header = {
        "encoder": files.read_json(run / "embeddings" / encoder / "header.json"),
        "embeddings": files.sha256_file(run / "embeddings" / encoder / "image.npy"),
        "factory": config.factory,
        "pictures": len(images),
        "files": {name: files.sha256_file(folder / name) for name in INDEXED},
    }
    files.write_json(folder / "header.json", header)
    return {"pictures": len(images), "samples": len(samples)}


def open_index(run: Path) -> Index:
    """Open the index of a run.

    Raises:
        ConfigError: there is none.
        DataError: a file has changed since, or it is of other embeddings.
    """
    import faiss

    folder = run / "index"
    if not (folder / "header.json").is_file():
        raise ConfigError(f"{run} has no index; run the recipe there first (essen run RECIPE --run {run})")
    header = files.read_json(folder / "header.json")
    for name, sha256 in header["files"].items():
        if not (folder / name).is_file() or files.sha256_file(folder / name) != sha256:
            raise DataError(f"{folder / name} is damaged; remove {folder} and run the recipe again")
    embeddings = run / "embeddings" / header["encoder"]["encoder"] / "image.npy"
    if not embeddings.is_file() or files.sha256_file(embeddings) != header["embeddings"]:
        raise DataError(f"{folder} was built from other embeddings; run the recipe again")
    vectors = faiss.read_index(str(folder / "image.faiss"))
    return Index(header=header, samples=read_columns(folder / "samples.parquet"), vectors=vectors)


def search(
    run: Path, *, text: str | None = None, image: Path | None = None, uid: str | None = None, k: int = 12
) -> list[Hit]:
    """Return the nearest kept samples, best first, at most one a picture.

    Args:
        text: words; captions are ranked by the cosine of their TF-IDF vectors.
        image: a picture file; pictures are ranked by the cosine of their embeddings.
        uid: a kept sample; as `image`, without the sample's own picture.
        k: how many at the most.

    Raises:
        ConfigError: there is no index, no such sample, or the file is no picture.
        DataError: the index is damaged or of other data.
    """
    import numpy as np

    index = open_index(run)
    if text is not None:
        return _best(index, _text_scores(index, text), k)
    if uid is not None:
        if uid not in index.samples["uid"]:
            raise ConfigError(f"{run} has kept no sample {uid}")
        own = index.samples["row"][index.samples["uid"].index(uid)]
        scores = _picture_scores(index, np.asarray(index.vectors.reconstruct(own))[None], k + 1)
        scores.pop(own, None)
        return _best(index, scores, k)
    if image is None:
        raise ConfigError("give words, a picture or a uid to look for")
    encoder = EfficientNetLite0(index.header["encoder"]["image_size"])
    return _best(index, _picture_scores(index, encode_file(encoder, image), k), k)


def encode_file(encoder: Encoder, path: Path) -> "np.ndarray":
    """Return the (1, dim) vector of a picture file.

    Raises:
        ConfigError: the file is missing or no picture.
    """
    import numpy as np

    try:
        picture = decode_rgb(path.read_bytes())
    except (OSError, PictureError) as error:
        raise ConfigError(f"{path} cannot be used as a picture: {error}") from None
    return encoder.encode_images(np.stack([stretched(picture, encoder.image_size)]))


def contact_sheet(run: Path, hits: list[Hit], path: Path, *, columns: int = 6) -> None:
    """Write a PNG with the pictures of some hits in reading order, the caption below each.

    Raises:
        ConfigError: the file cannot be written there.
    """
    from PIL import Image, ImageDraw

    names = ["uid", "raw_shard", "raw_offset", "raw_size"]
    catalogue = read_columns(run / "signals/samples.parquet", names)
    places = {uid: place for uid, *place in zip(*catalogue.values(), strict=True)}
    rows = max(1, -(-len(hits) // columns))
    cell = (TILE + 16, TILE + 34)
    sheet = Image.new("RGB", (columns * cell[0], rows * cell[1]), "white")
    draw = ImageDraw.Draw(sheet)
    for number, hit in enumerate(hits):
        left, top = (number % columns) * cell[0] + 8, (number // columns) * cell[1] + 8
        shard, offset, size = places[hit.uid]
        sheet.paste(_tile(run / shard, offset, size), (left, top))
        draw.text((left, top + TILE + 4), f"{hit.score:.2f} {hit.caption}"[:24], fill="black")
    out = io.BytesIO()
    sheet.save(out, "PNG")
    try:
        files.write_bytes(path, out.getvalue())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name another file with --sheet") from None


def _tile(tar: Path, offset: int, size: int) -> "Image.Image":
    return letterbox(decode_rgb(read_span(tar, offset, size)), TILE)


def _picture_scores(index: Index, vector: "np.ndarray", k: int) -> dict[int, float]:
    """Return the cosine of the k nearest pictures, by row; fewer where there are fewer."""
    scores, rows = index.vectors.search(vector, min(k, index.vectors.ntotal))
    return {int(row): float(score) for row, score in zip(rows[0], scores[0], strict=True) if row >= 0}


def _text_scores(index: Index, text: str) -> dict[int, float]:
    """Return the TF-IDF cosine of the best caption of every picture that shares a word with the text, by row."""
    documents = [Counter(words_of(caption)) for caption in index.samples["caption"]]
    frequency = Counter(word for document in documents for word in document)
    weight = {word: log(1 + len(documents) / number) for word, number in frequency.items()}
    query = {word: count * weight[word] for word, count in Counter(words_of(text)).items() if word in weight}
    length = sqrt(sum(value**2 for value in query.values()))
    best: dict[int, float] = {}
    for document, row in zip(documents, index.samples["row"], strict=True):
        shared = sum(value * document[word] * weight[word] for word, value in query.items() if word in document)
        if shared:
            norm = sqrt(sum((count * weight[word]) ** 2 for word, count in document.items()))
            best[row] = max(best.get(row, 0.0), shared / (norm * length))
    return best


def _best(index: Index, scores: dict[int, float], k: int) -> list[Hit]:
    """Return the k best pictures, each by the sample with the smallest uid; ties fall to the smaller row."""
    samples: dict[int, tuple[str, str, str]] = {}
    for uid, caption, corpus, row in zip(
        *(index.samples[name] for name in ("uid", "caption", "corpus", "row")), strict=True
    ):
        samples[row] = min(samples.get(row, (uid, caption, corpus)), (uid, caption, corpus))
    chosen = sorted(scores, key=lambda row: (-scores[row], row))[:k]
    return [
        Hit(uid=samples[row][0], score=scores[row], caption=samples[row][1], corpus=samples[row][2]) for row in chosen
    ]
