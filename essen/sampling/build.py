"""From a configuration to its sampler."""

from collections.abc import Mapping
from typing import Any

from essen.config import SamplingConfig
from essen.errors import StagesError
from essen.sampling.adaptive import AdaptiveSampler
from essen.sampling.draw import BatchRule
from essen.sampling.learnable import LearnableSampler
from essen.sampling.mixture import MixtureSampler
from essen.sampling.ontology import build_tree
from essen.sampling.orders import Columns
from essen.sampling.random import RandomSampler
from essen.sampling.sampler import Rows, Sampler
from essen.sampling.staged import PacedSampler, StagedSampler
from essen.sampling.tonics import TonicsSampler


def build_sampler(
    config: SamplingConfig,
    columns: Columns,
    rows: Rows,
    held_out: Rows,
    *,
    batch_size: int,
    steps: int,
    seed: int,
    exposure: Mapping[str, Any] | None = None,
    ontology: Mapping[str, Any] | None = None,
) -> Sampler:
    """Return the sampler that a configuration names.

    Args:
        config: which one, and how.
        columns: of all training rows.
        rows: those that may be trained on.
        held_out: those that may not, see `essen.sampling.orders.hold_out`.
        batch_size: rows of a batch.
        steps: length of the training.
        seed: of all draws.
        exposure: what the curriculum declares: ``pool`` and ``replay``.
        ontology: the tree of nouns, for tonics.

    Raises:
        StagesError: what is there is not enough for this sampler.
    """
    rule = BatchRule.of(
        columns.images,
        columns.captions,
        size=batch_size,
        together=config.images_per_caption,
        allow_same_image=config.allow_same_image,
    )
    if config.kind == "staged" and config.pacing.over == "stages":
        return StagedSampler(rows, columns.stages, rule, steps=steps, config=config, seed=seed, exposure=exposure)
    if config.kind == "staged":
        return PacedSampler(
            rows, columns.places, columns.difficulty, columns.stages, rule, steps=steps, config=config, seed=seed
        )
    if config.kind == "tonics":
        if ontology is None:
            raise StagesError("sampling.tonics needs the ontology of the stages; stage again with this version")
        nodes = build_tree(ontology, columns.uids, rows, held_out, rule, config=config.tonics, seed=seed)
        return TonicsSampler(nodes, rule, config=config.tonics, seed=seed)
    if config.kind == "learnability":
        chosen = config.learnability
        return LearnableSampler(rows, rule, filtered=chosen.filtered, chunks=chosen.chunks, seed=seed)
    if config.kind == "random":
        return RandomSampler(rows, rule, seed=seed)
    pools = columns.sources(config.sources, rows)
    if config.kind == "mixture":
        return MixtureSampler(pools, rule, points=config.mixture, steps=steps, seed=seed)
    held = columns.sources(config.sources, held_out)
    return AdaptiveSampler(pools, held, rule, config=config.adaptive, seed=seed)
