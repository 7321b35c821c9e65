"""Training batches: which rows, which pictures changed how, which captions; a pure function of (seed, state, step)."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from essen.adapt.cache import KeptTowers, keep_towers
from essen.augment import augment
from essen.config import CacheConfig, ModelConfig, TrainConfig
from essen.data import Pairs, Pictures, rank_rows, read_pairs
from essen.distributed import ALONE, Ranks
from essen.model import Essen
from essen.objectives.combine import Batch
from essen.randomness import AUGMENT, generator_for
from essen.sampling.build import build_sampler
from essen.sampling.feedback import Reference, learner_logits, read_reference
from essen.sampling.orders import draw_pairs, hold_out, read_columns_of, read_ontology
from essen.sampling.sampler import Logits, Question, Rows, Sampler
from essen.tokenizer import CaptionTokenizer, make_tokenizer
from pipeline import files
from pipeline.shards.read import open_stages


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The training pairs in all the forms that a step needs.

    Attributes:
        digest: of the stages, see `pipeline.shards.read.Stages`.
        pairs: of all stages.
        word_counts: (n,) words of each pair's caption, as staged.
        trained: how many of them may be trained on; the others only ever answer the sampler's questions.
        ids, mask, words: (captions, L) of the different captions, row `pairs.caption_of`.
        kept: what towers that stand still make of them.
        reference: the model beside which learnability is judged, and `reference_sha256` its weights; else None.
    """

    digest: str
    pairs: Pairs
    word_counts: Rows
    trained: int
    pictures: Pictures
    tokenizer: CaptionTokenizer
    ids: Tensor
    mask: Tensor
    words: Tensor
    sampler: Sampler
    reference: Reference | None
    reference_sha256: str | None
    kept: KeptTowers = field(default_factory=KeptTowers)

    @property
    def different_captions(self) -> list[str]:
        """The text of each of the different captions, one of those that count as equal."""
        return [self.pairs.captions[row] for row in np.unique(self.pairs.caption_of, return_index=True)[1]]

    def encoded(self, captions: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Return `ids`, `mask` and `words` (n, L) of some of the different captions (n,), cut to the longest."""
        chosen = torch.from_numpy(captions)
        length = int(self.mask[chosen].sum(1).max())
        return self.ids[chosen, :length], self.mask[chosen, :length], self.words[chosen, :length]


def open_training_data(
    model_config: ModelConfig, train_config: TrainConfig, stages: Path, *, bf16: bool = False
) -> TrainingData:
    """Open all stages, learn the tokenizer from their captions, and prepare the sampler and what it needs.

    Raises:
        DataError, StagesError: the stages are missing, damaged, empty, or lack what the sampler needs.
        EssenError: the reference model is missing or damaged.
    """
    opened = open_stages(stages)
    pairs = read_pairs(opened.stages)
    sampling = train_config.sampling
    columns = read_columns_of(opened, pairs, sampling.order)
    part = None if sampling.pairs is None else draw_pairs(columns, sampling.pairs, train_config.seed)
    learnt_from = pairs.captions if part is None else [pairs.captions[row] for row in part]
    tokenizer = make_tokenizer(model_config.text, learnt_from)
    _, first = np.unique(pairs.caption_of, return_index=True)
    ids, mask, words = tokenizer.encode_words([pairs.captions[row] for row in first], model_config.text.max_length)
    rows, held_out = hold_out(columns, sampling.held_out_share, train_config.seed, sampling.sources, part)
    pictures = Pictures(opened.stages, model_config.image_size, memory=train_config.image_memory)
    reference = None
    if sampling.kind == "learnability":
        reference = Path(sampling.learnability.reference)
    return TrainingData(
        digest=opened.digest,
        pairs=pairs,
        word_counts=np.concatenate([part.column("words") for part in opened.stages]),
        trained=len(rows),
        pictures=pictures,
        tokenizer=tokenizer,
        ids=ids,
        mask=mask,
        words=words,
        sampler=build_sampler(
            sampling,
            columns,
            rows,
            held_out,
            batch_size=train_config.batch_size,
            steps=train_config.steps,
            seed=train_config.seed,
            exposure=opened.manifest.get("exposure"),
            ontology=read_ontology(opened) if sampling.kind == "tonics" else None,
        ),
        reference=read_reference(reference, pairs, pictures, bf16=bf16) if reference else None,
        reference_sha256=files.sha256_file(reference / "model.safetensors") if reference else None,
    )


def make_batch(data: TrainingData, config: TrainConfig, rows: Rows, step: int, ranks: Ranks = ALONE) -> Batch:
    """Return some rows (B,) as the batch of a step, with the pictures of this process alone.

    Raises:
        EssenError: B is no multiple of the number of processes.
    """
    own, kept, pixels = rank_rows(rows, ranks.rank, ranks.world), data.kept, torch.empty(0)
    if kept.images is None:
        drawn = generator_for(config.seed, step, AUGMENT)
        pixels = augment(data.pictures.load(own), config.augment, drawn, rank=ranks.rank, world=ranks.world)
    captions, caption = np.unique(data.pairs.caption_of[rows], return_inverse=True)
    ids, mask, words = data.encoded(captions)
    return Batch(
        pixels=pixels,
        ids=ids,
        mask=mask,
        words=words,
        caption=torch.from_numpy(caption),
        caption_of=torch.from_numpy(data.pairs.caption_of[rows]),
        image_of=torch.from_numpy(data.pairs.image_of[rows]),
        image_tokens=kept.images(data.pairs.image_of[own]) if kept.images else None,
        text_tokens=kept.texts(captions) if kept.texts else None,
    )


def keep(
    data: TrainingData, model: Essen, config: CacheConfig, *, bf16: bool, between: Callable[[], None]
) -> TrainingData:
    """Return the data with what a model's towers make of them, as far as that is to be kept."""
    first = np.unique(data.pairs.image_of, return_index=True)[1]
    kept = keep_towers(
        model,
        lambda images: data.pictures.load(first[images]),
        len(first),
        data.ids,
        data.mask,
        config,
        bf16=bf16,
        between=between,
    )
    return replace(data, kept=kept)


def answer(data: TrainingData, model: Essen, question: Question, *, bf16: bool) -> Logits:
    """Return what a model says to a sampler's question, (n, n) logits; the model is left in training mode."""
    if question.of == "reference":
        assert data.reference is not None, "opened with the sampler that asks it"
        return data.reference.logits(data.pairs, question.rows)
    ids, mask, _ = data.encoded(data.pairs.caption_of[question.rows])
    return learner_logits(model, data.pictures.load(question.rows), ids, mask, bf16=bf16)


def expect(data: TrainingData, step: int, ranks: Ranks = ALONE) -> None:
    """Let the pictures be decoded that a step will ask for first, as far as that is known before it."""
    questions = data.sampler.questions(step)
    if data.kept.images and not questions:
        return
    rows = questions[0].rows if questions else rank_rows(data.sampler.batch(step), ranks.rank, ranks.world)
    data.pictures.expect(rows)
