"""The step that scores a trained model, beside the same model untrained, a shuffled control and chance.

``reports/evaluation.json``, format ``essen-evaluation/1``::

    {"format", "model": {"name", "parameters", "weights_sha256"},
     "stages": sha256 of the stages' manifest, "seed", "resamples", "level", "precision", "rerank_top",
     "sets": [{"name": split, "samples", "images", "captions",
       "directions": [{"direction": "text_to_image" | "image_to_text",
         "queries", "gallery", "correct_per_query": mean number of correct items,
         "unit": "item" | "group" (what the bootstrap draws), "units": how many of them,
         "rows": [{"row": "trained" | "reranked" | "untrained" | "shuffled" | "chance",
           "recall": {"1" | "5" | "10": {"value": share, "interval": [low, high] | null}},
           "median_rank"}]}],
       "examples": see `essen.evaluate.examples`}]}

``trained`` ranks by the cosine of the two towers; ``reranked`` lets the fusion module put the first answers in order;
``untrained`` is the model of the same configuration and seed before its first step; ``shuffled`` is the trained model
with the pairs' captions dealt out anew, which must lie at chance; ``chance`` is exact and has no interval.
"""

from pathlib import Path
from typing import Any

import numpy as np

from essen.computing import uses_bf16
from essen.config import EvaluateConfig
from essen.errors import StagesError
from essen.evaluate.bootstrap import bootstrap_means
from essen.evaluate.controls import SHUFFLED_CAPTIONS
from essen.evaluate.encoders import EssenEncoder, similarities
from essen.evaluate.examples import draw_examples
from essen.evaluate.held_out import HeldOut, read_held_out
from essen.evaluate.recall import DIRECTIONS, KS, reranked, shuffled, turned
from essen.evaluate.retrieval import (
    Bools,
    Ints,
    chance_median_rank,
    chance_recall,
    retrieval_ranks,
)
from essen.export import load_model
from essen.model import build_model
from pipeline import files
from pipeline.shards.read import open_stages

FORMAT = "essen-evaluation/1"


def evaluate(config: EvaluateConfig, stages: Path, model: Path, out: Path) -> dict[str, Any]:
    """Write ``reports/evaluation.json``; see the module's text for its shape.

    Args:
        config: what is scored and how intervals are drawn.
        stages: a stages directory with at least one evaluation set.
        model: folder of a trained model.
        out: the directory below which ``reports/`` is written.

    Returns:
        R@1 by set and direction.

    Raises:
        StagesError: there is no evaluation set.
    """
    opened = open_stages(stages)
    if not opened.evaluation:
        raise StagesError(f"{stages} holds no evaluation set; split off a part in the selection, then stage again")
    loaded, tokenizer = load_model(model)
    initial = build_model(loaded.config, tokenizer.vocab_size, config.initial_seed)
    bf16 = uses_bf16(config.precision)
    trained, untrained = (EssenEncoder(own, tokenizer, config.batch_size, bf16) for own in (loaded, initial))
    sets = [
        score_set(config, read_held_out(part, trained.image_size), trained, untrained, number)
        for number, part in enumerate(opened.evaluation.values())
    ]
    record = {
        "format": FORMAT,
        "model": {
            "name": trained.name,
            "parameters": trained.parameters,
            "weights_sha256": files.sha256_file(model / "model.safetensors"),
        },
        "stages": opened.digest,
        "precision": "bf16" if bf16 else "fp32",
        **config.model_dump(include={"seed", "resamples", "level", "rerank_top"}),
        "sets": sets,
    }
    files.write_json(out / "reports/evaluation.json", record)
    return {
        entry["name"]: {way["direction"]: way["rows"][0]["recall"]["1"]["value"] for way in entry["directions"]}
        for entry in sets
    }


def score_set(
    config: EvaluateConfig, held_out: HeldOut, trained: EssenEncoder, untrained: EssenEncoder, number: int
) -> dict[str, Any]:
    """Return the part of the record that is about one held-out set; `number` tells its random draws from others'."""
    texts, images = trained.encode_texts(held_out.captions), trained.encode_images(held_out.pixels)
    similarity = similarities(texts, images)
    before = similarities(untrained.encode_texts(held_out.captions), untrained.encode_images(held_out.pixels))
    galleries = held_out.galleries
    wrong = shuffled(galleries, SHUFFLED_CAPTIONS, np.random.default_rng([config.seed, number, 0]))
    directions = []
    for direction in DIRECTIONS:
        relevant = turned(direction, galleries.relevant)
        ranks = {"trained": retrieval_ranks(turned(direction, similarity), relevant)}
        if config.rerank_top and trained.fuses:
            reordered = reranked(trained, texts, images, similarity, direction, config.rerank_top)
            ranks["reranked"] = retrieval_ranks(reordered, relevant)
        ranks["untrained"] = retrieval_ranks(turned(direction, before), relevant)
        ranks["shuffled"] = retrieval_ranks(turned(direction, similarity), turned(direction, wrong))
        queries = galleries.captions if direction == "text_to_image" else galleries.images
        units = [held_out.groups[row] for row in queries]
        directions.append({"direction": direction, **_scores(config, ranks, relevant, units, number)})
    return {
        "name": held_out.name,
        "samples": len(held_out.uids),
        "images": len(galleries.images),
        "captions": len(galleries.captions),
        "directions": directions,
        "examples": draw_examples(config, held_out, similarity, number),
    }


def _scores(
    config: EvaluateConfig, ranks: dict[str, Ints], relevant: Bools, units: list[str], number: int
) -> dict[str, Any]:
    """Return the scores of one direction; every row is resampled by the same draws, so rows can be compared."""
    correct = relevant.sum(axis=1)
    gallery = relevant.shape[1]
    rows = []
    for row, found in ranks.items():
        hits = np.stack([found <= k for k in KS], axis=1)
        rng = np.random.default_rng([config.seed, number, 1])
        interval = bootstrap_means(hits, units, rng, resamples=config.resamples, level=config.level)
        recall = {
            str(k): {
                "value": float(interval.mean[place]),
                "interval": None
                if interval.low is None or interval.high is None
                else [float(interval.low[place]), float(interval.high[place])],
            }
            for place, k in enumerate(KS)
        }
        rows.append({"row": row, "recall": recall, "median_rank": float(np.median(found))})
    recall = {str(k): {"value": chance_recall(correct, gallery, k), "interval": None} for k in KS}
    rows.append({"row": "chance", "recall": recall, "median_rank": float(chance_median_rank(correct, gallery))})
    return {
        "queries": len(relevant),
        "gallery": gallery,
        "correct_per_query": float(correct.mean()),
        "unit": "group" if interval.clustered else "item",
        "units": interval.units,
        "rows": rows,
    }
