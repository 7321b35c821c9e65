"""Vectors in and out of FAISS: what may be indexed, which kind of index, and a search that returns rows alone."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.errors import ConfigError, DataError
from pipeline.index.config import IndexConfig
from pipeline.measure.vectors import (
    CAPTIONS,
    CHUNK,
    HEADER,
    IMAGES,
    Side,
    gathered,
    is_unit,
    layout_fault,
    listed,
    load_vectors,
    way_out,
)

if TYPE_CHECKING:
    import faiss
    import numpy as np

EXACT = "Flat"
NEIGHBOURS = 10  # recall is that of so many nearest


SIDES: Mapping[str, Side] = {"image": IMAGES, "text": CAPTIONS}


def read_vectors(side: str, folder: Path, wanted: Mapping[str, str]) -> "tuple[list[str], np.ndarray]":
    """Return the names of the wanted things, sorted, and their (N, dim) float32 vectors of unit length.

    Args:
        side: ``image`` or ``text``.
        folder: of the embeddings, below ``embeddings/``.
        wanted: for every name (image hash, or caption) the sample by which a message calls it.

    Raises:
        DataError: a vector is missing or cannot be compared; it names the samples.
    """
    import numpy as np

    place, again = SIDES[side], way_out(folder)
    names, vectors = load_vectors(place, folder)
    if fault := layout_fault(vectors, files.read_json(folder / HEADER).get("dim")):
        raise DataError(f"{folder / place.vectors}: {fault}; {_samples(wanted.values())} want them; {again}")
    rows = {name: row for row, name in enumerate(names)}
    if missing := [wanted[name] for name in sorted(wanted) if name not in rows]:
        raise DataError(f"{folder} has no vector for {len(missing)} {place.things} of {_samples(missing)}; {again}")
    order = sorted(wanted)
    chosen = gathered(vectors, np.array([rows[name] for name in order], dtype=np.int64), folder)
    if len(bad := np.flatnonzero(~is_unit(chosen))):
        of = _samples([wanted[order[row]] for row in bad])
        raise DataError(f"{folder}: {len(bad)} vectors are not finite or not of unit length, of {of}; {again}")
    return order, chosen


def make_index(config: IndexConfig, vectors: "np.ndarray") -> "tuple[faiss.Index, dict[str, Any]]":
    """Return an index of (N, dim) unit vectors by inner product, and what its header says of it.

    Up to `IndexConfig.exact_up_to` vectors all are compared. Beyond, the index is approximate; how many of the true ten
    nearest it finds is measured against all vectors. It is built by one thread, so that it is the same each time.

    Raises:
        ConfigError: FAISS cannot build it, or it finds too little.
    """
    import faiss

    exact = len(vectors) <= config.exact_up_to or config.factory == EXACT
    about = {"rows": len(vectors), "dim": vectors.shape[1], "metric": "inner product", "normalised": True}
    if exact:
        flat = faiss.IndexFlatIP(vectors.shape[1])
        for start in range(0, len(vectors), CHUNK):
            flat.add(vectors[start : start + CHUNK])
        return flat, {**about, "factory": EXACT, "recall": 1.0}
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index = faiss.index_factory(vectors.shape[1], config.factory, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.add(vectors)
    except RuntimeError as error:
        reason = str(error).rpartition("Error: ")[2].strip()
        raise ConfigError(f"index.factory: {config.factory} does not suit {len(vectors)} vectors: {reason}") from None
    finally:
        faiss.omp_set_num_threads(threads)
    setting = "nprobe" if config.factory.startswith("IVF") else "efSearch"
    faiss.ParameterSpace().set_index_parameter(index, setting, config.effort)
    recall = measured_recall(index, vectors, config.recall_queries)
    if recall < config.min_recall:
        raise ConfigError(
            f"{config.factory} finds {100 * recall:.1f} % of the nearest vectors, less than index.min_recall "
            f"({100 * config.min_recall:.1f} %); raise index.effort ({config.effort}) or index.exact_up_to"
        )
    return index, {**about, "factory": config.factory, "effort": config.effort, "recall": round(recall, 4)}


def measured_recall(index: "faiss.Index", vectors: "np.ndarray", queries: int) -> float:
    """Return the share of the true nearest of evenly spaced vectors that an index finds, the vector itself aside."""
    import faiss
    import numpy as np

    rows = np.unique(np.linspace(0, len(vectors) - 1, min(queries, len(vectors))).astype(np.int64))
    asked = vectors[rows]
    k = min(NEIGHBOURS + 1, len(vectors))
    _, true = faiss.knn(asked, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    _, found = index.search(asked, k)
    hits = wanted = 0
    for row, ours, theirs in zip(rows, found, true, strict=True):
        expected = set(theirs.tolist()) - {int(row)}
        wanted += len(expected)
        hits += len(expected & set(ours.tolist()))
    return hits / wanted if wanted else 1.0


def nearest(index: "faiss.Index", vector: "np.ndarray", k: int) -> list[tuple[int, float]]:
    """Return the rows and cosines of the k nearest to a (dim,) unit vector, best first; fewer where there are fewer.

    Raises:
        DataError: the vector has another dimension, or is not finite and of unit length.
    """
    import numpy as np

    if vector.shape != (index.d,) or not is_unit(vector[None])[0]:
        raise DataError(f"a query must be a unit vector of {index.d} features; the encoder gave another")
    wanted = min(k, index.ntotal)
    if wanted == 0:
        return []
    scores, rows = index.search(np.ascontiguousarray(vector[None], dtype=np.float32), wanted)
    found = [(int(row), float(score)) for row, score in zip(rows[0], scores[0], strict=True) if row >= 0]
    return sorted(found, key=lambda hit: (-hit[1], hit[0]))


def vector_of(index: "faiss.Index", row: int) -> "np.ndarray":
    """Return the (dim,) vector of a row."""
    import faiss
    import numpy as np

    if isinstance(index, faiss.IndexIVF):
        index.make_direct_map()
    return np.asarray(index.reconstruct(row))


def _samples(uids: Collection[str]) -> str:
    """Return uids as text, the first of them where there are many."""
    return f"{'samples' if len(uids) > 1 else 'sample'} {listed(list(uids))}"
