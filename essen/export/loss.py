"""What int8 costs in R@1: both models on the same held-out sets, with paired intervals."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from essen.config import EvaluateConfig
from essen.errors import StagesError
from essen.evaluate.bootstrap import bootstrap_means
from essen.evaluate.encoders import EssenEncoder, similarities
from essen.evaluate.held_out import HeldOut, read_held_out
from essen.evaluate.recall import DIRECTIONS, reranked, turned
from essen.evaluate.retrieval import Bools, retrieval_ranks
from essen.export.parity import PairModel
from essen.tokenizer import CaptionTokenizer
from pipeline.shards.read import open_stages

if TYPE_CHECKING:
    from essen.model import Essen


def recall_loss(
    model: PairModel, quantised: PairModel, tokenizer: CaptionTokenizer, stages: Path, config: EvaluateConfig
) -> list[dict[str, Any]]:
    """Return what both models score in R@1 on every held-out set of a stages directory.

    Args:
        model: the one that is compared with.
        quantised: the one that may have lost.
        tokenizer: of both.
        stages: the directory.
        config: how many answers the fusion puts in order, resamples, level and seed.

    Returns:
        For each set, direction and scorer (``towers``, or ``fusion``: its order of the first answers)
        ``{"set", "direction", "scorer", "queries", "gallery", "value", "quantised", "difference", "interval"}``;
        `difference` is that of the quantised model, negative where it lost, with its interval over the same units as in
        the evaluation (None where there is one unit alone).

    Raises:
        StagesError: there is no held-out set.
    """
    parts = open_stages(stages).evaluation
    if not parts:
        raise StagesError(f"{stages} holds no evaluation set, so what int8 costs cannot be measured on it")
    # An exported model answers to the calls that an encoder makes.
    encoders = [EssenEncoder(cast("Essen", each), tokenizer, config.batch_size, False) for each in (model, quantised)]
    rows = []
    for number, part in enumerate(parts.values()):
        held_out = read_held_out(part, model.config.image_size)
        hits = [_hits(encoder, held_out, config) for encoder in encoders]
        for key, before in hits[0].items():
            rows.append(_row(held_out, key, before, hits[1][key], config, number))
    return rows


def _hits(encoder: EssenEncoder, held_out: HeldOut, config: EvaluateConfig) -> dict[tuple[str, str], Bools]:
    """Return for every direction and scorer which queries have a correct first answer."""
    texts, images = encoder.encode_texts(held_out.captions), encoder.encode_images(held_out.pixels)
    similarity = similarities(texts, images)
    hits = {}
    for direction in DIRECTIONS:
        relevant = turned(direction, held_out.galleries.relevant)
        hits[direction, "towers"] = retrieval_ranks(turned(direction, similarity), relevant) == 1
        if encoder.fuses and config.rerank_top:
            order = reranked(encoder, texts, images, similarity, direction, config.rerank_top)
            hits[direction, "fusion"] = retrieval_ranks(order, relevant) == 1
    return hits


def _row(
    held_out: HeldOut, key: tuple[str, str], before: Bools, after: Bools, config: EvaluateConfig, number: int
) -> dict[str, Any]:
    direction, scorer = key
    galleries = held_out.galleries
    sides = [galleries.captions, galleries.images]
    queries, gallery = sides if direction == "text_to_image" else sides[::-1]
    change = after.astype(np.int64) - before
    found = bootstrap_means(
        np.stack([before, after, change], axis=1),
        [held_out.groups[row] for row in queries],
        np.random.default_rng([config.seed, number]),
        resamples=config.resamples,
        level=config.level,
    )
    return {
        "set": held_out.name,
        "direction": direction,
        "scorer": scorer,
        "queries": len(queries),
        "gallery": len(gallery),
        "value": float(found.mean[0]),
        "quantised": float(found.mean[1]),
        "difference": float(found.mean[2]),
        "interval": None if found.low is None or found.high is None else [float(found.low[2]), float(found.high[2])],
    }
