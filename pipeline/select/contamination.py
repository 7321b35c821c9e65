"""What is evaluated on elsewhere is not trained on: pictures and captions of evaluation sets, looked for by all means.

A training sample goes if its picture is one of the set's by bytes, by decoded pixels, or by the rule of duplicates
(perceptual hash, embedding, lines), or if its whole caption says the same as one of the set's. N-grams, the usual
means, find nothing in captions shorter than the n. ``contamination.json`` counts the hits by set and method;
``contamination.parquet`` names them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import files
from pipeline.measure.caption import words_of
from pipeline.measure.config import EmbedConfig
from pipeline.measure.embed import Encoder
from pipeline.measure.measure import image_encoder
from pipeline.select.config import ContaminationConfig, DuplicateConfig, EvaluationSet
from pipeline.select.duplicates import score_pairs, tiers
from pipeline.select.neighbours import pairs_between
from pipeline.select.pictured import Item, Measured, joined, measure_items, read_items
from pipeline.select.pictures import Gallery, read_gallery
from pipeline.select.verdict import Drop
from pipeline.tables import write_table

if TYPE_CHECKING:
    import numpy as np

METHODS = ("bytes", "pixels", "perceptual", "semantic", "lines", "redrawn", "caption")


class Hit(NamedTuple):
    """A training sample that an evaluation set holds: by which method, and as what."""

    uid: str
    set: str
    method: str
    item: str
    score: float


def contamination_drops(
    config: ContaminationConfig,
    rule: DuplicateConfig,
    catalogue: Mapping[str, Sequence[Any]],
    remaining: set[str],
    run: Path,
    embeddings: Path,
    folder: Path,
) -> dict[str, Drop]:
    """Look for the evaluation sets in the remaining samples, and write ``contamination.json`` and ``.parquet``.

    Args:
        rule: when two pictures are one, with the laxer `ContaminationConfig.weakest`; names do not tell pictures apart.
        catalogue: columns of ``signals/samples.parquet``.
        remaining: uids of the samples that are looked at.
        run: the run directory, for its signals.
        embeddings: the folder of the encoder's vectors, for the encoder as well.
        folder: where the files go.

    Returns:
        The drops by uid, with the reason ``evaluated_in_<set>``; none where no set is named.

    Raises:
        ConfigError: a set is not there, or the encoder's weights are not.
    """
    if not config.sets:
        return {}
    header = files.read_json(embeddings / "header.json")
    encoder = image_encoder(EmbedConfig.model_validate(encoder_of(header)))
    rule = rule.model_copy(update={"weakest": min(rule.weakest, config.weakest)})
    training = read_gallery(rule, catalogue, remaining, run, embeddings)
    report, hits = [], []
    for entry in config.sets:
        found, summary = _look(entry, config, rule, training, catalogue, remaining, encoder)
        hits += found
        report.append(summary)
    files.write_json(folder / "contamination.json", {"sets": report, "dropped": len({hit.uid for hit in hits})})
    _write_hits(folder / "contamination.parquet", hits)
    drops: dict[str, Drop] = {}
    for hit in hits:
        reason = "evaluated_in_" + "".join(c if c.isalnum() else "_" for c in hit.set.lower())
        drops.setdefault(hit.uid, Drop("contamination", reason, score=hit.score))
    return drops


def encoder_of(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of `EmbedConfig` that decides the vectors with some header."""
    if str(header["encoder"]).startswith("open_clip:"):
        return {"encoder": header["encoder"], "text_encoder": header["encoder"]}
    return {"encoder": header["encoder"], "image_size": header["image_size"]}


def _look(
    entry: EvaluationSet,
    config: ContaminationConfig,
    rule: DuplicateConfig,
    training: Gallery,
    catalogue: Mapping[str, Sequence[Any]],
    remaining: set[str],
    encoder: Encoder,
) -> tuple[list[Hit], dict[str, Any]]:
    """Return the hits of one evaluation set, and what the report says of it."""
    items = list(read_items(entry.path))
    evaluated = measure_items(items, encoder)
    hits = []
    by_picture = picture_hits(rule, training, evaluated)
    said = _captions(items, config.caption_words) if entry.captions else {}
    for uid, image, caption in zip(*(catalogue[name] for name in ("uid", "image_sha256", "caption")), strict=True):
        if uid in remaining:
            hits += [Hit(uid, entry.name, method, item, score) for method, item, score in by_picture.get(image, ())]
            if " ".join(words_of(caption)) in said:
                hits.append(Hit(uid, entry.name, "caption", said[" ".join(words_of(caption))], 1.0))
    counts = Counter(method for method, _ in {(hit.method, hit.uid) for hit in hits})
    summary = {
        "name": entry.name,
        "pictures": len(evaluated.pictures),
        "unreadable": evaluated.unreadable,
        "captions": len(said),
        "hits": {method: counts[method] for method in METHODS},
        "dropped": len({hit.uid for hit in hits}),
    }
    return hits, summary


def _captions(items: Sequence[Item], least: int) -> dict[str, str]:
    """Return the first item with each caption of enough words, by the caption without case and punctuation."""
    said: dict[str, str] = {}
    for item in items:
        for words in map(words_of, item.captions):
            if len(words) >= least:
                said.setdefault(" ".join(words), item.name)
    return said


def picture_hits(
    rule: DuplicateConfig, training: Gallery, evaluated: Measured
) -> dict[str, list[tuple[str, str, float]]]:
    """Return, by image hash of the training picture, the methods that find it among the evaluated ones.

    Each with the hash of the evaluated picture that is closest, and the cosine of the two.
    """
    import numpy as np

    rule = rule.model_copy(update={"name_words": 0})
    count = len(training.pictures)
    both = joined(training, evaluated)
    scores = score_pairs(rule, both, crossing(rule, both, count))
    same_bytes = [
        both.pictures[a].sha256 == both.pictures[b].sha256
        for a, b in zip(scores.first.tolist(), scores.second.tolist(), strict=True)
    ]
    found = {"bytes": np.array(same_bytes, dtype=bool), **tiers(rule, scores)}
    found["pixels"] = found.pop("exact")
    hits: dict[str, list[tuple[str, str, float]]] = {}
    for method in METHODS[:-1]:
        best: dict[int, int] = {}
        for place in found[method].nonzero()[0].tolist():
            row = int(scores.first[place])
            if row not in best or scores.cosine[place] > scores.cosine[best[row]]:
                best[row] = place
        for row, place in best.items():
            other = both.pictures[int(scores.second[place])].sha256
            hits.setdefault(both.pictures[row].sha256, []).append((method, other, float(scores.cosine[place])))
    return hits


def crossing(rule: DuplicateConfig, both: Gallery, count: int) -> "np.ndarray":
    """Return the (P, 2) rows of training and evaluated pictures that are worth comparing."""
    import numpy as np

    near = [
        pairs_between(vectors[:count], vectors[count:], floor)
        for vectors, floor in ((both.vectors, rule.cut_floor), (both.structures, rule.line_floor))
    ]
    pixels: dict[str, list[int]] = {}
    for row, picture in enumerate(both.pictures[:count]):
        pixels.setdefault(picture.pixel_sha256, []).append(row)
    equal = [
        (row, count + other)
        for other, picture in enumerate(both.pictures[count:])
        for row in pixels.get(picture.pixel_sha256, ())
    ]
    rows = [np.array(equal, dtype=np.int64).reshape(-1, 2)]
    rows += [np.stack([pairs.first, pairs.second + count], axis=1) for pairs in near]
    return np.unique(np.concatenate(rows), axis=0)


def _write_hits(path: Path, hits: Sequence[Hit]) -> None:
    import pyarrow as pa

    ordered = sorted(hits)
    types = {"uid": pa.string(), "set": pa.string(), "method": pa.string(), "item": pa.string(), "score": pa.float64()}
    columns = {
        name: pa.array([hit[place] for hit in ordered], type=kind) for place, (name, kind) in enumerate(types.items())
    }
    write_table(path, pa.table(columns))
