"""Every sample in one table, to be looked at: ``atlas.parquet``, with pictures, captions and a place on a map.

Viewers that show a table as points (embedding-atlas) take ``x`` and ``y``; readers of the hub's Parquet form take
``image`` as a picture. The map is the plane in which the vectors of the pictures, by the run's encoder, differ most:
their first two principal components. It is the same on every call, as maps drawn by chance (UMAP, t-SNE) are not.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.cards.croissant import sample_table
from pipeline.errors import DataError
from pipeline.measure.config import EmbedConfig
from pipeline.measure.vectors import IMAGES, read_vectors
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from pipeline.shards.read import StagedSet

FILE = "atlas.parquet"
ROWS = 1_000  # of a row group: what a viewer fetches at once, pictures included
DIGITS = 4
PLACES = ("x", "y")


def write_atlas(out: Path, run: Path, parts: "Sequence[StagedSet]") -> list[str]:
    """Write ``atlas.parquet``; return its name, or nothing where the run has no vectors of its pictures.

    Args:
        out: directory of the file.
        run: whose ``embeddings/`` are read.
        parts: stages and evaluation sets, in this order.

    Raises:
        DataError: a picture has no vector, or the vectors are damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline.shards.read import ShardReader

    vectors = _picture_vectors(run)
    if vectors is None:
        return []
    tables = {part.entry["path"]: part.table for part in parts}
    about = sample_table([part.entry for part in parts], tables)
    hashes = [name for part in parts for name in part.table.column("image_sha256").to_pylist()]
    places = map_places(hashes, *vectors)
    reader, path, schema = ShardReader(*parts), out / FILE, _schema(about.schema)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(hashes), ROWS):
            rows = range(start, min(start + ROWS, len(hashes)))
            pictures = [{"bytes": reader.read(row), "path": None} for row in rows]
            columns = [pa.array(pictures, schema.field("image").type), *about.slice(start, len(rows)).columns]
            columns += [pa.array(places[rows.start : rows.stop, axis]) for axis in range(len(PLACES))]
            writer.write_table(pa.table(columns, schema=schema))
    files.sync_file(path)
    return [FILE]


def map_places(hashes: Sequence[str], names: Sequence[str], vectors: "np.ndarray") -> "np.ndarray":
    """Return the places (N, 2) float32 of some pictures on the plane of their two first principal components.

    The larger end of each component, by its largest entry, points upwards, so that no sign is left to chance.

    Args:
        hashes: of the pictures of N samples; a picture may come several times, and weighs as often.
        names: of the rows of `vectors`.
        vectors: (M, dim).

    Raises:
        DataError: a picture has no vector.
    """
    import numpy as np

    row_of = {name: row for row, name in enumerate(names)}
    if missing := [name for name in hashes if name not in row_of]:
        raise DataError(f"{len(missing)} pictures have no vector ({missing[0][:16]}, …); run the recipe again")
    points = vectors[[row_of[name] for name in hashes]].astype(np.float64)
    points -= points.mean(axis=0)
    axes = np.linalg.eigh(points.T @ points)[1][:, -2:][:, ::-1]
    largest = axes[np.abs(axes).argmax(axis=0), range(2)]
    return np.round(points @ (axes * np.sign(largest)), DIGITS).astype(np.float32)


def _picture_vectors(run: Path) -> "tuple[list[str], np.ndarray] | None":
    """Return names, which are sha256 of pictures, and vectors (N, dim) of a run's pictures; None where there are none.

    Raises:
        DataError: the files are damaged.
    """
    record = Workspace(run).record("embed")
    if record is None:
        return None
    return read_vectors(IMAGES, run / "embeddings" / EmbedConfig(**record["params"]["config"]).image_folder)


def _schema(about: "pa.Schema") -> "pa.Schema":
    """Return the columns with their types, and with what the hub's readers need to know of them."""
    import pyarrow as pa

    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [pa.field("image", picture), *about, *(pa.field(name, pa.float32()) for name in PLACES)]
    features: dict[str, Any] = {
        field.name: {"_type": "Image"} if field.name == "image" else {"dtype": _dtype(field.type), "_type": "Value"}
        for field in fields
    }
    described = {"huggingface": files.canonical_json({"info": {"features": features}})}
    return pa.schema(fields, metadata=described)


def _dtype(kind: "pa.DataType") -> str:
    return {"double": "float64", "float": "float32"}.get(str(kind), str(kind))
