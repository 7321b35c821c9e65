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

VERSION = 1


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
    share of the other captions of the fold that fit the picture less well (1: none fits better). Null where the picture
    has no vector, or where there are too few pairs to fit a head.

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
        head = shared_space(images.shape[1]) if one_space else fit_head(images[known], texts[known], config)
        score[asked] = head.score(images[asked], texts[asked])
        rank[asked] = _ranks(head, images[asked], texts[asked])
        fitted += 1
    columns: dict[str, Any] = {"uid": samples["uid"]}
    for name, values in (("score", score), ("rank", rank)):
        columns[name] = pa.array(values, mask=np.isnan(values), type=pa.float64())
    write_table(out / "signals/alignment.parquet", columns)
    return {"samples": len(score), "scored": int((~np.isnan(score)).sum()), "heads": fitted, "clean": int(clean.sum())}


def fit_head(images: "np.ndarray", texts: "np.ndarray", config: AlignConfig) -> Head:
    """Fit the head to N pairs of picture (N, I) and caption vectors (N, T).

    Each covariance gets a share of its mean variance on the diagonal, without which a few thousand pairs would be
    remembered and not generalised.
    """
    import numpy as np

    x, y = images.astype(np.float64), texts.astype(np.float64)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    x, y = x - x_mean, y - y_mean
    cross = x.T @ y / len(x)
    texts_spread, texts_axes = np.linalg.eigh(_ridged(y.T @ y / len(y), config.text_ridge))
    whiten = texts_axes / np.sqrt(texts_spread) @ texts_axes.T
    # What of each caption direction a ridge regression from pictures predicts; its spectrum is the correlations'.
    predicted = np.linalg.solve(_ridged(x.T @ x / len(x), config.image_ridge), cross @ whiten)
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


def _vectors(samples: dict[str, list[Any]], image: Path, text: Path) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
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
    return pictures[rows], texts[[caption_row[caption] for caption in samples["caption"]]], rows >= 0


def _ranks(head: Head, images: "np.ndarray", texts: "np.ndarray", block: int = 2_048) -> "np.ndarray":
    """Return for each pair the share of the fold's distinct other captions that fit its picture less well."""
    import numpy as np

    projected = head.project_texts(texts)
    distinct, of = np.unique(projected, axis=0, return_inverse=True)
    ranks = np.empty(len(images))
    for start in range(0, len(images), block):
        rows = slice(start, start + block)
        scores = head.project_images(images[rows]) @ distinct.T
        own = scores[np.arange(len(scores)), of.ravel()[rows]]
        ranks[rows] = (scores < own[:, None]).sum(axis=1) / max(1, len(distinct) - 1)
    return ranks


def _ridged(covariance: "np.ndarray", ridge: float) -> "np.ndarray":
    import numpy as np

    dim = len(covariance)
    return covariance + ridge * np.trace(covariance) / dim * np.eye(dim)


def _unit(vectors: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
