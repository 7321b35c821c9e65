"""How well a picture and its caption fit, by a small head between two frozen encoders that never saw the pair.

The head is regularised canonical correlation analysis (Hotelling 1936; Vinod 1976): the directions in which pictures
and captions correlate, each weighted by its correlation. It has a closed form, so it has no seed and no schedule, and
a fit takes about a second. It is fitted to the *cleanest* pairs by cross-fitting: the pairs are cut into folds such
that all pairs that share a picture, a caption or a group are in one, and a fold is scored by the head that was fitted
to the others. Filtering by a model fitted to clean data is the idea of data filtering networks (Fang et al., 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.measure.config import AlignConfig, EmbedConfig
from pipeline.measure.embed import read_embeddings
from pipeline.measure.text_encoder import read_caption_embeddings
from pipeline.tables import read_columns, write_table
from pipeline.workspace import Counts

if TYPE_CHECKING:
    import numpy as np

CHUNK = 16_384  # pairs at once, for memory only
RANKED = 4_096  # captions of a fold that a rank is taken among; of more, so many at even distances


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a matrix, some of them perhaps several times; copies are made of those that are asked for."""

    matrix: "np.ndarray"
    rows: "np.ndarray"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: slice) -> "np.ndarray":
        return self.matrix[self.rows[places]]

    def at(self, places: "np.ndarray") -> "Rows":
        """Return the rows at some of the places."""
        return Rows(self.matrix, self.rows[places])


@dataclass(frozen=True, slots=True)
class Head:
    """Where picture and caption vectors meet: the mean and the (dim, k) projection of each side."""

    image_mean: "np.ndarray"
    image_projection: "np.ndarray"
    text_mean: "np.ndarray"
    text_projection: "np.ndarray"

    def score(self, images: "np.ndarray", texts: "np.ndarray") -> "np.ndarray":
        """Return the cosine, -1 to 1, of each picture (N, I) with its caption (N, T)."""
        return (self.project_images(images) * self.project_texts(texts)).sum(axis=1)

    def project_images(self, images: "np.ndarray") -> "np.ndarray":
        """Return (N, k) unit vectors for (N, I) pictures."""
        return _unit((images - self.image_mean) @ self.image_projection)

    def project_texts(self, texts: "np.ndarray") -> "np.ndarray":
        """Return (N, k) unit vectors for (N, T) captions."""
        return _unit((texts - self.text_mean) @ self.text_projection)


def align(config: AlignConfig, encoders: EmbedConfig, run: Path, out: Path) -> Counts:
    """Write ``signals/alignment.parquet``: ``score`` and ``rank`` of every sample, sorted by uid.

    ``score`` is the head's cosine, or the cosine itself where one open_clip model made both vectors; ``rank`` is the
    share of the other captions of the fold that fit the picture less well (1: none fits better), in a large fold of a
    sample of them. Null where the picture has no vector, or where there are too few pairs to fit a head.

    Raises:
        DataError: captions and vectors do not belong together.
    """
    import numpy as np
    import pyarrow as pa

    samples = read_columns(run / "signals/samples.parquet", ["uid", "image_sha256", "caption", "group"])
    clean = _clean(config, run)
    folder = run / "embeddings"
    images, texts, present = _vectors(samples, folder / encoders.image_folder, folder / encoders.text_folder)
    rows = np.flatnonzero(present)
    units = [[samples[name][row] for name in ("image_sha256", "caption", "group")] for row in rows]
    folds = fold_of(units, config.folds)
    score, rank = np.full(len(present), np.nan), np.full(len(present), np.nan)
    fitted = 0
    for fold in range(config.folds):
        asked, others = rows[folds == fold], rows[folds != fold]
        known = others[clean[others]]
        one_space = encoders.text_encoder == encoders.encoder
        if not len(asked) or (len(known) < config.min_pairs and not one_space):
            continue
        dim = images.matrix.shape[1]
        head = shared_space(dim) if one_space else fit_head(images.at(known), texts.at(known), config)
        for start in range(0, len(asked), CHUNK):
            chunk = asked[start : start + CHUNK]
            score[chunk] = head.score(images.at(chunk)[:], texts.at(chunk)[:])
        rank[asked] = _ranks(head, images.at(asked), texts.at(asked))
        fitted += 1
    columns: dict[str, Any] = {"uid": samples["uid"]}
    for name, values in (("score", score), ("rank", rank)):
        columns[name] = pa.array(values, mask=np.isnan(values), type=pa.float64())
    write_table(out / "signals/alignment.parquet", columns)
    return {"samples": len(score), "scored": int((~np.isnan(score)).sum()), "heads": fitted, "clean": int(clean.sum())}


def fit_head(images: "Rows | np.ndarray", texts: "Rows | np.ndarray", config: AlignConfig) -> Head:
    """Fit the head to N pairs of picture (N, I) and caption vectors (N, T).

    Each covariance gets a share of its mean variance on the diagonal, without which a few thousand pairs would be
    remembered and not generalised.
    """
    import numpy as np

    x_mean, y_mean = _mean(images), _mean(texts)
    of_images = of_texts = cross = np.zeros(())
    for start in range(0, len(images), CHUNK):
        x, y = (side[start : start + CHUNK].astype(np.float64) for side in (images, texts))
        x, y = x - x_mean, y - y_mean
        of_images, of_texts, cross = of_images + x.T @ x, of_texts + y.T @ y, cross + x.T @ y
    of_images, of_texts, cross = (each / len(images) for each in (of_images, of_texts, cross))
    texts_spread, texts_axes = np.linalg.eigh(_ridged(of_texts, config.text_ridge))
    whiten = texts_axes / np.sqrt(texts_spread) @ texts_axes.T
    # What of each caption direction a ridge regression from pictures predicts; its spectrum is the correlations'.
    predicted = np.linalg.solve(_ridged(of_images, config.image_ridge), cross @ whiten)
    squares, axes = np.linalg.eigh((cross @ whiten).T @ predicted)
    leading = np.argsort(-squares)[: config.dimensions]
    correlations = np.sqrt(squares[leading].clip(0))
    return Head(
        image_mean=x_mean,
        image_projection=predicted @ axes[:, leading],
        text_mean=y_mean,
        text_projection=whiten @ axes[:, leading] * correlations,
    )


def shared_space(dim: int) -> Head:
    """Return the head for vectors that lie in one space already: it changes nothing."""
    import numpy as np

    return Head(np.zeros(dim), np.eye(dim), np.zeros(dim), np.eye(dim))


def fold_of(units: Sequence[Sequence[str]], folds: int) -> "np.ndarray":
    """Return the fold, 0 … folds − 1, of each pair, such that pairs that share a unit in any place share the fold.

    Connected pairs are dealt out, the largest component first, to the fold that has the fewest pairs.

    Args:
        units: for each pair the names that it may share with others: picture, caption, group.
    """
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names: dict[tuple[int, str], int] = {}
    edges = [
        (row, names.setdefault((place, name), len(names)))
        for row, of in enumerate(units)
        for place, name in enumerate(of)
    ]
    if not edges:
        return np.zeros(0, dtype=np.int64)
    pair, unit = np.array(edges).T
    size = len(units) + len(names)
    graph = coo_array((np.ones(len(edges), dtype=np.int8), (pair, unit + len(units))), shape=(size, size))
    component = connected_components(graph, directed=False)[1][: len(units)]
    members = np.bincount(component)
    filled = np.zeros(folds, dtype=np.int64)
    place = np.zeros(len(members), dtype=np.int64)
    for each in np.argsort(-members, kind="stable"):
        place[each] = int(filled.argmin())
        filled[place[each]] += members[each]
    return place[component]


def _clean(config: AlignConfig, run: Path) -> "np.ndarray":
    """Return which samples a head may be fitted to: short captions of known words that name something."""
    import numpy as np

    captions = read_columns(run / "signals/caption.parquet", ["tokens", "head_noun"])
    coverage = read_columns(run / "signals/lexicon.parquet")
    known = coverage.get("coverage", [1.0] * len(captions["tokens"]))
    return np.array(
        [
            1 <= tokens <= config.max_tokens and noun is not None and (share or 0.0) >= config.min_coverage
            for tokens, noun, share in zip(captions["tokens"], captions["head_noun"], known, strict=True)
        ]
    )


def _vectors(samples: dict[str, list[Any]], image: Path, text: Path) -> "tuple[Rows, Rows, np.ndarray]":
    """Return (N, I) picture and (N, T) caption vectors in the samples' order, and which samples have both."""
    import numpy as np

    names, pictures = read_embeddings(image)
    captions, texts = read_caption_embeddings(text)
    picture_row = {name: row for row, name in enumerate(names)}
    caption_row = {caption: row for row, caption in enumerate(captions)}
    missing = [caption for caption in samples["caption"] if caption not in caption_row]
    if missing:
        raise DataError(f"{text} has no vector for {len(missing)} captions; remove it and run again")
    rows = np.array([picture_row.get(name, -1) for name in samples["image_sha256"]], dtype=np.int64)
    said = np.array([caption_row[caption] for caption in samples["caption"]], dtype=np.int64)
    return Rows(pictures, rows), Rows(texts, said), rows >= 0


def _ranks(head: Head, images: Rows, texts: Rows, block: int = 2_048) -> "np.ndarray":
    """Return for each pair the share of the fold's distinct other captions that fit its picture less well."""
    import numpy as np

    few = len(texts) <= RANKED
    captions = texts if few else Rows(texts.matrix, _spaced(np.unique(texts.rows), RANKED))
    distinct, of = np.unique(head.project_texts(captions[:]), axis=0, return_inverse=True)
    others = len(distinct) - 1 if few else len(distinct)
    ranks = np.empty(len(images))
    for start in range(0, len(images), block):
        rows = slice(start, start + block)
        seen = head.project_images(images[rows])
        scores = seen @ distinct.T
        if few:
            own = scores[np.arange(len(scores)), of.ravel()[rows]]
        else:  # which need not be among them
            own = (seen * head.project_texts(texts[rows])).sum(axis=1)
        ranks[rows] = (scores < own[:, None]).sum(axis=1) / max(1, others)
    return ranks


def _spaced(values: "np.ndarray", most: int) -> "np.ndarray":
    """Return so many of the values at even distances, or all where there are no more."""
    import numpy as np

    return values if len(values) <= most else values[len(values) * np.arange(most) // most]


def _mean(rows: "Rows | np.ndarray") -> "np.ndarray":
    """Return the mean row, in double precision."""
    import numpy as np

    parts = [rows[start : start + CHUNK].astype(np.float64).sum(axis=0) for start in range(0, len(rows), CHUNK)]
    return np.sum(parts, axis=0) / len(rows)


def _ridged(covariance: "np.ndarray", ridge: float) -> "np.ndarray":
    import numpy as np

    dim = len(covariance)
    return covariance + ridge * np.trace(covariance) / dim * np.eye(dim)


def _unit(vectors: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
