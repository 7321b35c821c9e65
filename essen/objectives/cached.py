"""The gradients of a batch that does not go through the model at once: in micro-batches, or among processes.

Features are computed without gradients and gathered; the losses of the whole batch give the features' gradients; each
micro-batch then goes through the towers again, with the same random numbers, and takes its gradients on to the weights
(gradient caching, Gao et al. 2021). So the contrast has all negatives, and the other terms are sums over parts,
divided by what they count in the whole batch.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from essen.config import ObjectiveConfig
from essen.model import Essen, ImageFeatures, TextFeatures
from essen.objectives.attention import CrossHeads, Heads, TowerAttention
from essen.objectives.combine import (
    Batch,
    Learner,
    compute_losses,
    contrast,
    fusion_rows,
    hide_words,
    lessons,
    teaching,
    uses_fusion,
)
from essen.objectives.contrastive import same_pairs
from essen.objectives.distillation import Term, View, watch
from essen.objectives.masked import IGNORE
from essen.objectives.matching import draw_trials
from essen.randomness import FUSION, generator_for
from essen.rows import IMAGES, MATCHING, TEXTS, WORDS, Passes

TERMS = ("contrastive", "image_contrast", "matching", "masked")


def backward(learner: Learner, batch: Batch, config: ObjectiveConfig, passes: Passes) -> dict[str, float]:
    """Add the gradients of a batch's losses to the parameters, and return the losses by name.

    Of several processes each is left with its share of the gradients; their sum is that of the batch.
    """
    if passes.in_parts:
        return _backward_in_parts(learner, batch, config, passes)
    losses = compute_losses(learner, batch, config, passes)
    losses.total.backward()
    return losses.values


def _backward_in_parts(learner: Learner, batch: Batch, config: ObjectiveConfig, passes: Passes) -> dict[str, float]:
    model, distiller = learner.model, teaching(learner, config, passes.step)
    fuses = uses_fusion(config, passes.step)
    first = passes.ranks.share(len(batch.caption)).start

    def encode_images(rows: slice) -> ImageFeatures:
        return batch.encode_images(model, slice(rows.start - first, rows.stop - first))

    def encode_texts(rows: slice) -> TextFeatures:
        return batch.encode_texts(model, rows)

    image_attention, text_attention = (distiller.image, distiller.text) if distiller else (None, None)
    with_tokens = fuses or distiller is not None
    images = _Cache(model, encode_images, len(batch.caption), IMAGES, passes, image_attention, with_tokens=with_tokens)
    texts = _Cache(model, encode_texts, len(batch.ids), TEXTS, passes, text_attention, with_tokens=with_tokens)
    terms = contrast(learner, batch, images.embedding, texts.embedding.index_select(0, batch.caption), config)
    values = {name: term.item() for name, term in terms.items()}
    if terms:
        weighted = torch.stack([getattr(config, name) * term for name, term in terms.items()]).sum()
        # Every process computes these for the whole batch, so each adds its part of their gradients.
        (weighted / passes.ranks.world).backward()
    own = View(ImageFeatures(images.embedding, images.tokens), TextFeatures(texts.embedding, texts.tokens, batch.mask))
    if fuses:
        values |= _fusion_terms(learner, batch, *own, config, passes)
    loss = sum(getattr(config, name) * value for name, value in values.items() if name in TERMS)
    if distiller is not None:
        heads = CrossHeads(texts.heads, images.heads) if texts.heads and images.heads else None
        for term in lessons(learner, distiller, batch, own, heads, config, passes):
            values[term.name] = _learn_in_parts(term, passes)
            loss += term.weight * values[term.name]
    images.backward()
    texts.backward()
    return {"loss": loss, **values}


def _learn_in_parts(term: Term, passes: Passes) -> float:
    """Add the gradients of a term of distillation, and return it."""
    total = torch.zeros(1)
    for part in passes.parts(term.rows):
        loss = term.part(part)
        if loss.requires_grad:
            (term.weight * loss / term.rows).backward()
        total += loss.detach()
    passes.ranks.add_up([total])
    return total.item() / term.rows


class _Cache:
    """The features of all rows of one tower, with gradients that a second pass takes on to the weights.

    Attributes:
        embedding, tokens: of all rows of all processes; leaves of the graph. Without tokens these have no length.
        heads: the tower's queries and keys, likewise; None where they are not asked for.
    """

    def __init__(
        self,
        model: Essen,
        encode: Callable[[slice], ImageFeatures | TextFeatures],
        total: int,
        use: int,
        passes: Passes,
        attention: TowerAttention | None,
        *,
        with_tokens: bool,
    ) -> None:
        self._encode, self._use, self._passes, self._attention = encode, use, passes, attention
        self._with_tokens = with_tokens
        self._parts = passes.parts(total)
        # One part alone need not go again: its graph is no larger than that of the second pass.
        self._graph = self._forward(self._parts[0]) if len(self._parts) == 1 else None
        own = self._first_pass(model) if self._graph is None else [self._graph]
        features = [torch.cat([part.detach() for part in parts]) for parts in zip(*own, strict=True)]
        self._leaves = [passes.ranks.gather(part, total).requires_grad_() for part in features]
        self.embedding, self.tokens, *heads = self._leaves
        self.heads = Heads(*heads) if heads else None

    def backward(self) -> None:
        """Take the gradients of the features, from all processes, on to the weights."""
        self._passes.ranks.add_up_gradients(self._leaves)
        for rows in self._parts:
            ends = zip(self._graph or self._forward(rows), self._leaves, strict=True)
            used = [(end, leaf.grad[rows]) for end, leaf in ends if end.requires_grad and leaf.grad is not None]
            if used:
                torch.autograd.backward([end for end, _ in used], [gradient for _, gradient in used])

    def _forward(self, rows: slice) -> tuple[Tensor, ...]:
        with self._passes.forward(self._use, rows):
            features, heads = watch(self._attention, lambda: self._encode(rows))
        tokens = features.tokens
        return features.embedding, tokens if self._with_tokens else tokens[:, :0], *(heads or ())

    @torch.no_grad()
    def _first_pass(self, model: Essen) -> list[tuple[Tensor, ...]]:
        """Return the features of this process's rows; only the second pass counts in running statistics."""
        before = [buffer.clone() for buffer in model.buffers()]
        own = [self._forward(rows) for rows in self._parts]
        if not own:
            # No share: one row tells the shape of what the others send.
            own = [tuple(part[:0] for part in self._forward(slice(0, 1)))]
        for buffer, value in zip(model.buffers(), before, strict=True):
            buffer.copy_(value)
        return own


def _fusion_terms(
    learner: Learner,
    batch: Batch,
    images: ImageFeatures,
    texts: TextFeatures,
    config: ObjectiveConfig,
    passes: Passes,
) -> dict[str, float]:
    """Add the gradients of matching and masked words to features (B pictures, T captions) and weights."""
    rows = fusion_rows(len(batch.caption), config.fusion_batch, passes)
    values: dict[str, float] = {}
    if config.matching:
        values |= _match_in_parts(learner.model, batch, images, texts, rows, config, passes)
    if config.masked:
        hidden = hide_words(learner.tokenizer, batch, rows, config.mask_share, passes)
        pieces = int((hidden.labels != IGNORE).sum())
        total = torch.zeros(1)
        for part in passes.parts(len(rows)):
            with passes.forward(WORDS, part):
                told = learner.model.encode_texts(hidden.ids[part], hidden.mask[part])
                logits = learner.model.predict_words(images.take(rows[part]), told)
            loss = F.cross_entropy(
                logits.flatten(0, 1), hidden.labels[part].flatten(), ignore_index=IGNORE, reduction="sum"
            )
            (config.masked * loss / pieces).backward()
            total += loss.detach()
        passes.ranks.add_up([total])
        values |= {"masked": total.item() / pieces, "masked_pieces": pieces}
    return values


def _match_in_parts(
    model: Essen,
    batch: Batch,
    images: ImageFeatures,
    texts: TextFeatures,
    rows: Tensor,
    config: ObjectiveConfig,
    passes: Passes,
) -> dict[str, float]:
    same = same_pairs(batch.image_of, batch.caption_of)
    generator = generator_for(passes.seed, passes.step, FUSION)
    with torch.no_grad(), passes.precision():
        sharpness = config.hardness * model.logit_scale.exp()
        of_pairs = texts.embedding.index_select(0, batch.caption)
        trials = draw_trials(images.embedding, of_pairs, sharpness, same, rows, generator)
    count = len(trials.labels)
    if not count:
        return {"matching": 0.0, "matching_skipped": trials.skipped}
    sums = torch.zeros(2)
    for part in passes.parts(count):
        with passes.forward(MATCHING, part):
            logits = model.match(images.take(trials.images[part]), texts.take(batch.caption[trials.texts[part]]))
        labels = trials.labels[part]
        loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        (config.matching * loss / count).backward()
        sums += torch.stack([loss.detach(), ((logits > 0) == (labels > 0.5)).sum().float()])
    passes.ranks.add_up([sums])
    matched, right = (sums / count).tolist()
    return {"matching": matched, "matching_skipped": trials.skipped, "matching_accuracy": right}
