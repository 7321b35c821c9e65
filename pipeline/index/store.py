"""An index on the disk: built from the kept samples of a run, and opened only beside the data that it is of.

``index/image.faiss`` and ``index/text.faiss`` hold the vectors of the kept pictures and captions, each once;
``index/samples.parquet`` the kept samples with the rows of their picture and caption; ``index/header.json`` the hash of
every file, the encoders, the kind of index, the digests of the selection and of the embeddings, and its own digest.
Nothing is handed to FAISS before its hash has been checked, as FAISS itself does not notice a flipped bit.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.errors import ConfigError, DataError
from pipeline.index.config import IndexConfig
from pipeline.index.vectors import SIDES, make_index, read_vectors
from pipeline.measure.config import EmbedConfig
from pipeline.select.kept import FILE as KEPT
from pipeline.select.kept import read_kept
from pipeline.tables import write_table
from pipeline.workspace import Counts

if TYPE_CHECKING:
    import faiss

FORMAT = "essen-index/2"
CATALOGUE = ("uid", "image_sha256", "caption", "lang", "corpus", "licence", "url")
SAMPLES = "samples.parquet"
# What an index is of: if one of these has changed, so has what it would have to say.
DATA = ("signals/samples.parquet", KEPT)


@dataclass(frozen=True, slots=True)
class Index:
    """An opened index.

    Attributes:
        folder: where it lies.
        header: what it is of; see the module's text.
        samples: columns of the kept samples, sorted by uid, with ``image_row`` and ``text_row``.
    """

    folder: Path
    header: dict[str, Any]
    samples: dict[str, list[Any]]

    def vectors(self, side: str) -> "faiss.Index":
        """Return the index of ``image`` or ``text`` vectors.

        Raises:
            DataError: the file is damaged, or is not of these samples.
        """
        import faiss

        path = self.folder / f"{side}.faiss"
        index = faiss.deserialize_index(_checked_bytes(path, self.header))
        about = self.header[side]
        rows = self.samples[f"{side}_row"]
        if (index.ntotal, index.d) != (about["rows"], about["dim"]) or set(rows) != set(range(index.ntotal)):
            raise DataError(f"{path} holds other rows than {SAMPLES} names; {_again(self.folder)}")
        return index


def build_index(config: IndexConfig, encoders: EmbedConfig, run: Path, out: Path) -> Counts:
    """Write ``index/`` for the kept samples of a run.

    Args:
        encoders: name the folders below ``embeddings/``.
        run: the run directory that is read.
        out: the directory below which ``index/`` is written.

    Raises:
        ConfigError: the approximate index of a large corpus finds too little.
        DataError: a kept sample has no vector, or one that cannot be compared.
    """
    import faiss

    folder = out / "index"
    folder.mkdir(parents=True, exist_ok=True)
    samples = read_kept(run, (*CATALOGUE, "split")).to_pydict()
    header: dict[str, Any] = {"format": FORMAT, "data": _data(run)}
    columns = {"image": samples["image_sha256"], "text": samples["caption"]}
    for side, source in (("image", encoders.image_folder), ("text", encoders.text_folder)):
        embeddings = run / "embeddings" / source
        wanted: dict[str, str] = {}
        for name, uid in zip(columns[side], samples["uid"], strict=True):
            wanted.setdefault(name, uid)
        names, vectors = read_vectors(side, embeddings, wanted)
        index, about = make_index(config, vectors)
        faiss.write_index(index, str(folder / f"{side}.faiss"))
        rows = {name: row for row, name in enumerate(names)}
        samples[f"{side}_row"] = [rows[name] for name in columns[side]]
        header[side] = {**about, "embeddings": _embeddings(embeddings, side), "folder": source}
    write_table(folder / SAMPLES, samples)
    header["files"] = {name: files.sha256_file(folder / name) for name in ("image.faiss", "text.faiss", SAMPLES)}
    files.write_json(folder / "header.json", {**header, "sha256": files.digest(header)})
    counts = {name: header[side]["rows"] for side, name in (("image", "pictures"), ("text", "captions"))}
    return {"samples": len(samples["uid"]), **counts}


def open_index(run: Path) -> Index:
    """Open the index of a run, and check that it is of this run's data.

    Vectors are read, and their file is checked, when they are asked for.

    Raises:
        ConfigError: there is none.
        DataError: a file is damaged, or the index is of another selection or of other embeddings.
    """
    folder = run / "index"
    if not (folder / "header.json").is_file():
        raise ConfigError(f"{run} has no index; run its recipe at least that far (essen run RECIPE --until index)")
    header = _header(folder)
    if header["data"] != _data(run):
        raise DataError(f"{folder} was built from another selection; {_again(folder)}")
    for side in SIDES:
        embeddings = run / "embeddings" / header[side]["folder"]
        if header[side]["embeddings"] != _embeddings(embeddings, side):
            raise DataError(f"{folder} was built from other embeddings than {embeddings}; {_again(folder)}")
    return Index(folder=folder, header=header, samples=_samples(folder, header))


def _header(folder: Path) -> dict[str, Any]:
    """Return the header, checked against its own digest."""
    path = folder / "header.json"
    try:
        header = files.read_json(path)
        sha256 = header.pop("sha256")
    except (ValueError, AttributeError, KeyError, TypeError):
        raise DataError(f"{path} is damaged or of another version; {_again(folder)}") from None
    if header.get("format") != FORMAT or sha256 != files.digest(header):
        raise DataError(f"{path} is damaged or of another version; {_again(folder)}")
    return dict(header)


def _samples(folder: Path, header: dict[str, Any]) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Not `pq.read_table`, which imports pandas where that is installed: half a second of a search.
    data = pa.BufferReader(_checked_bytes(folder / SAMPLES, header))
    return dict(pq.ParquetFile(data).read().to_pydict())


def _checked_bytes(path: Path, header: dict[str, Any]) -> Any:
    """Return a file's bytes as a (size,) uint8 array that lies on the disk, once their hash has been checked."""
    import hashlib

    import numpy as np

    if path.is_file() and path.stat().st_size:
        data = np.memmap(path, dtype=np.uint8, mode="r")
        if hashlib.sha256(data.data).hexdigest() == header["files"][path.name]:
            return data
    raise DataError(f"{path} is damaged; {_again(path.parent)}")


def _data(run: Path) -> dict[str, str]:
    """Return the digests of what an index is of; empty for a file that is missing."""
    return {name: files.sha256_file(run / name) if (run / name).is_file() else "" for name in DATA}


def _embeddings(folder: Path, side: str) -> dict[str, Any]:
    """Return what made the vectors of a folder, and the digest of the list of what they are of."""
    names = folder / SIDES[side].names
    if not names.is_file() or not (folder / "header.json").is_file():
        return {}
    return {"encoder": files.read_json(folder / "header.json"), "of": files.sha256_file(names)}


def _again(folder: Path) -> str:
    return f"remove {folder} and do the step again (essen run RECIPE --until index)"
