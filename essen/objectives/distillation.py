"""Distillation: a dual encoder learns what a model knows that fuses tokens, as soft labels and as attention.

DiDE (Wang et al. 2022, arXiv 2112.08723) has a trained teacher; in LoopITR's form (Lei et al. 2022, arXiv 2203.05465)
the teacher is the model's own fusion. Both are terms beside the objectives, at the steps of the fusion's, each a sum
over rows that may be computed in parts. The teacher is in evaluation mode and has no gradient.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from essen.config import MutualConfig, ObjectiveConfig, TeacherConfig
from essen.model import Essen, ImageFeatures, TextFeatures
from essen.objectives.attention import CrossHeads, Heads, TowerAttention, attention_loss, fused_heads
from essen.objectives.matching import draw_trials
from essen.randomness import FUSION, TARGET, generator_for
from essen.rows import MATCHING, Passes

F = TypeVar("F", bound=ImageFeatures | TextFeatures)


@dataclass(frozen=True, kw_only=True)
class Distiller:
    """Who teaches what.

    Attributes:
        config: what, and with which weights.
        teacher: the trained model; None: the student's own fusion.
        captions: ids and mask (captions, L) of all training captions in the teacher's own word pieces; None: in the
            student's.
        image, text: where the student's towers look; None where attention is not learnt.
        first: the first step at which it may teach.
    """

    config: TeacherConfig | MutualConfig
    teacher: Essen | None = None
    captions: tuple[Tensor, Tensor] | None = None
    image: TowerAttention | None = None
    text: TowerAttention | None = None
    first: int = 0


class View(NamedTuple):
    """What a model makes of a batch: `images` of B pictures, `texts` of T captions."""

    images: ImageFeatures
    texts: TextFeatures


class Lesson(NamedTuple):
    """A batch as teacher and student see it.

    Attributes:
        student: the model that learns, and `own` what it makes of the batch.
        heads: its queries and keys, of B pictures and T captions; None where attention is not learnt.
        teacher: the model that teaches, and `shown` what it makes of the batch.
        caption: (B,) int64, the row of every pair among the captions.
        same: (B, B) bool, see `essen.objectives.contrastive.same_pairs`.
        rows: (R,) int64, the pairs that the fusion objectives see.
    """

    student: Essen
    own: View
    heads: CrossHeads | None
    teacher: Essen
    shown: View
    caption: Tensor
    same: Tensor
    rows: Tensor


class Term(NamedTuple):
    """A term of the loss: the mean over so many `rows` of what `part` adds up, a scalar, for some of them."""

    name: str
    weight: float
    rows: int
    part: Callable[[slice], Tensor]


def soft_label_loss(
    student: Tensor, teacher: Tensor, temperature: float = 1.0, allowed: Tensor | None = None
) -> Tensor:
    """Return (N,) the Kullback-Leibler divergence of the student's shares of K answers from the teacher's.

    Args:
        student, teacher: (N, K) logits.
        temperature: divides both.
        allowed: (N, K) bool, the answers that are there, at least one each; None: all.
    """
    if allowed is not None:
        lowest = torch.finfo(student.dtype).min
        student, teacher = student.masked_fill(~allowed, lowest), teacher.masked_fill(~allowed, lowest)
    target = (teacher.detach() / temperature).softmax(1)
    log_shares = (student / temperature).log_softmax(1)
    if allowed is not None:
        log_shares = log_shares.masked_fill(~allowed, 0.0)
    return (torch.xlogy(target, target) - target * log_shares).sum(1)


def yes_or_no(logits: Tensor) -> Tensor:
    """Return (N, 2) logits of "no" and "yes" whose softmax is the sigmoid of logits (N,)."""
    return torch.stack([torch.zeros_like(logits), logits], dim=1)


def watch(attention: TowerAttention | None, encode: Callable[[], F]) -> tuple[F, Heads | None]:
    """Encode, and return with the features the queries and keys, where these are learnt."""
    return (encode(), None) if attention is None else attention.watch(encode)


@torch.no_grad()
def look(
    distiller: Distiller,
    student: View,
    pixels: Tensor,
    texts: tuple[Tensor, Tensor],
    caption_of: Tensor,
    passes: Passes,
) -> View:
    """Return what the teacher makes of a batch, the same pixels that the student sees.

    Args:
        distiller: with the teacher.
        student: what the student makes of it: all there is to see for its own fusion.
        pixels: (B, 3, H, W) in 0..1; of several processes those of this one's share.
        texts: ids and mask (T, L) of the captions, in the student's word pieces.
        caption_of: (B,) int64 of every pair, see `essen.objectives.combine.Batch`.
        passes: how rows go through.
    """
    teacher = distiller.teacher
    if teacher is None:
        own_images, own_texts = student
        return View(
            ImageFeatures(*(part.detach() for part in own_images)), TextFeatures(*(part.detach() for part in own_texts))
        )
    teacher.eval()
    if distiller.captions is not None:
        codes = caption_of.unique()  # sorted, as the batch's captions are
        ids, mask = (part[codes] for part in distiller.captions)
        length = int(mask.sum(1).max())
        texts = ids[:, :length], mask[:, :length]
    ids, mask = texts
    first = passes.ranks.share(len(caption_of)).start
    images = _encode(
        lambda rows: teacher.encode_images(pixels[rows.start - first : rows.stop - first]), len(caption_of), passes
    )
    described = _encode(lambda rows: teacher.encode_texts(ids[rows], mask[rows]), len(ids), passes)
    return View(ImageFeatures(*images), TextFeatures(described[0], described[1], mask))


def _encode(
    encode: Callable[[slice], ImageFeatures | TextFeatures], total: int, passes: Passes
) -> tuple[Tensor, Tensor]:
    """Return embeddings and tokens of all rows, of which each process encodes its share."""
    own = passes.parts(total)
    with passes.precision():
        # No share: one row tells the shape of what the others send.
        parts = [encode(rows)[:2] for rows in own or [slice(0, 1)]]
    embedding, tokens = (torch.cat(part)[: None if own else 0] for part in zip(*parts, strict=True))
    return passes.ranks.gather(embedding, total), passes.ranks.gather(tokens, total)


def distillation_terms(
    config: TeacherConfig | MutualConfig, lesson: Lesson, objectives: ObjectiveConfig, passes: Passes
) -> list[Term]:
    """Return what the teacher adds to the loss of a batch: ``soft_labels`` and ``attention``, as far as they count."""
    terms = []
    if config.soft_labels and config.labels == "matching":
        terms.append(_matching_labels(config, lesson, objectives, passes))
    elif config.soft_labels and config.labels == "list":
        terms.append(_list_labels(config, lesson, passes))
    elif config.soft_labels:
        terms.append(_batch_labels(config, lesson))
    if config.attention:
        terms.append(_attention(config, lesson, passes))
    return terms


def _matching_labels(
    config: TeacherConfig | MutualConfig, lesson: Lesson, objectives: ObjectiveConfig, passes: Passes
) -> Term:
    """Whether pairs belong together: the very trials, and dropout, that the matching objective has at this step."""
    images, texts = lesson.own
    with torch.no_grad(), passes.precision():
        sharpness = objectives.hardness * lesson.student.logit_scale.exp()
        of_pairs = texts.embedding.index_select(0, lesson.caption)
        generator = generator_for(passes.seed, passes.step, FUSION)
        trials = draw_trials(images.embedding, of_pairs, sharpness, lesson.same, lesson.rows, generator)

    def part(some: slice) -> Tensor:
        pictures, captions = trials.images[some], lesson.caption[trials.texts[some]]
        with passes.forward(MATCHING, some):
            own = lesson.student.match(images.take(pictures), texts.take(captions))
        taught = _judge(lesson, pictures, captions, passes)
        return soft_label_loss(yes_or_no(own), yes_or_no(taught), config.temperature).sum()

    return Term("soft_labels", config.soft_labels, len(trials.labels), part)


def _list_labels(config: TeacherConfig | MutualConfig, lesson: Lesson, passes: Passes) -> Term:
    """Which of a few captions belongs to a picture: the teacher's matching against the student's cosines."""
    images, texts = lesson.own
    with torch.no_grad():
        similarity = images.embedding[lesson.rows] @ texts.embedding.T
    listed, allowed = candidate_lists(similarity, lesson.caption, lesson.same, lesson.rows, config.candidates)

    def part(some: slice) -> Tensor:
        pictures, captions = lesson.rows[some], listed[some]
        vectors = texts.embedding.index_select(0, captions.flatten()).view(*captions.shape, -1)
        cosines = (images.embedding.index_select(0, pictures)[:, None] * vectors).sum(-1)
        repeated = pictures.repeat_interleave(captions.shape[1])
        taught = _judge(lesson, repeated, captions.flatten(), passes).view(captions.shape)
        own = lesson.student.logit_scale.exp() * cosines
        return soft_label_loss(own, taught, config.temperature, allowed[some]).sum()

    return Term("soft_labels", config.soft_labels, len(listed), part)


@torch.no_grad()
def candidate_lists(
    similarity: Tensor, caption: Tensor, same: Tensor, rows: Tensor, candidates: int
) -> tuple[Tensor, Tensor]:
    """Return for each of R pictures its caption and the wrong ones that are most like it.

    Args:
        similarity: (R, T) of the pictures and all captions of the batch.
        caption: (B,) int64, the caption of every pair.
        same: (B, B) bool, see `essen.objectives.contrastive.same_pairs`.
        rows: (R,) int64, the pairs of the pictures.
        candidates: wrong captions of a list; a batch with fewer has shorter lists.

    Returns:
        (R, K) int64 rows of the captions, the true one first, and (R, K) bool: whether it is one; a caption that
        belongs to the picture, or to another with the same caption, stands in no list but as its first.
    """
    belongs = torch.zeros(similarity.shape).index_add_(1, caption, same[rows].float()) > 0
    masked = similarity.float().masked_fill(belongs, -torch.inf)
    wrong = masked.topk(min(candidates, similarity.shape[1] - 1), dim=1).indices
    allowed = ~belongs.gather(1, wrong)
    first = torch.ones_like(rows, dtype=torch.bool)[:, None]
    return torch.cat([caption[rows, None], wrong], dim=1), torch.cat([first, allowed], dim=1)


def _batch_labels(config: TeacherConfig | MutualConfig, lesson: Lesson) -> Term:
    """Which caption of the batch belongs to a picture, and which picture to a caption: cosines against cosines."""
    caption = lesson.caption

    def logits(model: Essen, view: View, some: slice) -> tuple[Tensor, Tensor]:
        images, texts = view.images.embedding, view.texts.embedding.index_select(0, caption)
        scale = model.logit_scale.exp()
        return scale * images[some] @ texts.T, scale * texts[some] @ images.T

    def part(some: slice) -> Tensor:
        both = zip(logits(lesson.student, lesson.own, some), logits(lesson.teacher, lesson.shown, some), strict=True)
        return torch.stack([soft_label_loss(own, taught, config.temperature).sum() for own, taught in both]).mean()

    return Term("soft_labels", config.soft_labels, len(caption), part)


def _attention(config: TeacherConfig | MutualConfig, lesson: Lesson, passes: Passes) -> Term:
    """Where words and cells of the true pairs look: the teacher's last layer against the student's towers."""
    heads = lesson.heads
    assert heads is not None, "the towers were watched"

    def part(some: slice) -> Tensor:
        pictures, captions = lesson.rows[some], lesson.caption[lesson.rows[some]]
        own = CrossHeads(heads.text.take(captions), heads.image.take(pictures))
        with torch.no_grad(), passes.precision():
            taught = fused_heads(lesson.teacher, lesson.shown.images.take(pictures), lesson.shown.texts.take(captions))
        if config.target == "random":
            taught = _random_heads(taught, len(lesson.rows), some, passes)
        return attention_loss(own, taught, lesson.own.texts.mask[captions]).sum()

    return Term("attention", config.attention, len(lesson.rows), part)


def _random_heads(like: CrossHeads, total: int, some: slice, passes: Passes) -> CrossHeads:
    """Return queries and keys of pure chance, those of a row whatever part it is in."""
    generator = generator_for(passes.seed, passes.step, TARGET)

    def draw(one: Tensor) -> Tensor:
        return torch.randn(total, *one.shape[1:], generator=generator)[some]

    return CrossHeads(*(Heads(*(draw(one) for one in side)) for side in like))


def _judge(lesson: Lesson, pictures: Tensor, captions: Tensor, passes: Passes) -> Tensor:
    """Return the teacher's matching logits (N,) of pairs of rows."""
    images, texts = lesson.shown
    with torch.no_grad(), passes.precision(), _evaluating(lesson.teacher.fusion):
        return lesson.teacher.match(images.take(pictures), texts.take(captions))


@contextlib.contextmanager
def _evaluating(module: nn.Module | None) -> Iterator[None]:
    """Let a module be in evaluation mode for a while: of a student's own fusion, dropout is no part of the lesson."""
    was = module is not None and module.training
    if module is not None:
        module.eval()
    try:
        yield
    finally:
        if module is not None:
            module.train(was)
