"""Training batches: which rows, which pictures changed how, which captions; a pure function of (seed, step)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from essen.augment import augment
from essen.config import ModelConfig, TrainConfig
from essen.data import Pairs, Pictures, read_pairs
from essen.objectives.combine import Batch
from essen.randomness import AUGMENT, generator_for
from essen.sampling.random import Sampler
from essen.sampling.staged import build_sampler
from essen.tokenizer import CaptionTokenizer, train_tokenizer
from pipeline.shards.read import open_stages


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The training pairs in all the forms that a step needs.

    Attributes:
        digest: of the stages, see `pipeline.shards.read.Stages`.
        ids, mask, words: (captions, L) of the different captions, row `pairs.caption_of`.
    """

    digest: str
    pairs: Pairs
    pictures: Pictures
    tokenizer: CaptionTokenizer
    ids: Tensor
    mask: Tensor
    words: Tensor
    sampler: Sampler


def open_training_data(model_config: ModelConfig, train_config: TrainConfig, stages: Path) -> TrainingData:
    """Open all stages, learn the tokenizer from their captions, and prepare the sampler.

    Raises:
        DataError, StagesError: the stages are missing, damaged or empty.
    """
    opened = open_stages(stages)
    pairs = read_pairs(opened.stages)
    tokenizer = train_tokenizer(pairs.captions, model_config.text.vocab_size)
    _, first = np.unique(pairs.caption_of, return_index=True)
    ids, mask, words = tokenizer.encode_words([pairs.captions[row] for row in first], model_config.text.max_length)
    return TrainingData(
        digest=opened.digest,
        pairs=pairs,
        pictures=Pictures(opened.stages, model_config.image_size, memory=train_config.image_memory),
        tokenizer=tokenizer,
        ids=ids,
        mask=mask,
        words=words,
        sampler=build_sampler(
            train_config.sampling,
            pairs.stages,
            pairs.caption_of,
            batch_size=train_config.batch_size,
            steps=train_config.steps,
            seed=train_config.seed,
        ),
    )


def make_batch(data: TrainingData, config: TrainConfig, step: int) -> Batch:
    """Return the batch of a step."""
    rows = data.sampler.batch(step)
    pixels = augment(data.pictures.load(rows), config.augment, generator_for(config.seed, step, AUGMENT))
    captions, caption = np.unique(data.pairs.caption_of[rows], return_inverse=True)
    chosen = torch.from_numpy(captions)
    length = int(data.mask[chosen].sum(1).max())
    return Batch(
        pixels=pixels,
        ids=data.ids[chosen, :length],
        mask=data.mask[chosen, :length],
        words=data.words[chosen, :length],
        caption=torch.from_numpy(caption),
        caption_of=torch.from_numpy(data.pairs.caption_of[rows]),
        image_of=torch.from_numpy(data.pairs.image_of[rows]),
    )
