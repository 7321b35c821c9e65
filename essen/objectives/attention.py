"""Where words and cells look at each other: in a fusion's last layer, and where two towers that never meet would look.

DiDE (Wang et al. 2022, arXiv 2112.08723) lets a dual encoder learn from the second by the first. The queries and keys
of the student are those of its towers' last attention; no forward pass uses them across the towers, so what a tower
makes of a picture or caption still depends on it alone.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from essen.fusion.cross import CoLayer, CrossFusion, CrossLayer
from essen.fusion.merged import MergedFusion
from essen.model import Essen, ImageFeatures, TextFeatures
from essen.towers.patch import PatchTower
from essen.towers.text import TextTower
from essen.towers.tower import Tower
from essen.towers.transformer import TransformerLayer
from essen.towers.vision import VisionTower

F = TypeVar("F", bound=ImageFeatures | TextFeatures)


class Heads(NamedTuple):
    """The queries and keys of the tokens of one modality, (B, heads, L, size) each."""

    query: Tensor
    key: Tensor

    def take(self, rows: Tensor) -> "Heads":
        """Return those of some rows, (R,) int64."""
        return Heads(*(part.index_select(0, rows) for part in self))


class CrossHeads(NamedTuple):
    """The queries and keys of B pairs: of `text` with L tokens, of `image` with V."""

    text: Heads
    image: Heads


class QueryKey(nn.Module):
    """Queries and keys of a tower that has none to learn: of its tokens, learnt with it and then thrown away."""

    def __init__(self, width: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key = nn.Linear(width, 2 * heads * size)

    def forward(self, tokens: Tensor) -> Heads:
        """Return the queries and keys of tokens (B, L, width)."""
        query, key = split_heads(self.query_key(tokens.float()), 2, self.heads)
        return Heads(query, key)


class TowerAttention(NamedTuple):
    """Where a tower's queries and keys come from: its `last` block, or a `projection` of its tokens."""

    last: TransformerLayer | None
    projection: QueryKey | None

    def watch(self, encode: Callable[[], F]) -> tuple[F, Heads]:
        """Encode, and return with the features the queries and keys of all tokens."""
        if self.projection is not None:
            features = encode()
            return features, self.projection(features.tokens)
        assert self.last is not None, "a tower has one or the other"
        with recorded(self.last.qkv) as (outputs,):
            features = encode()
        query, key, _ = split_heads(outputs[0], 3, self.last.heads)
        return features, Heads(query, key)


def last_attention(tower: Tower) -> TransformerLayer | None:
    """Return the block of the project's own that a tower ends with.

    None for one without, for the encoders of libraries, and for a tower that stands still: its queries cannot learn.
    """
    layers = [*tower.layers] if isinstance(tower, TextTower | PatchTower | VisionTower) else []
    learn = any(parameter.requires_grad for layer in layers for parameter in layer.parameters())
    last = [*(layers if learn else []), *tower.added][-1:]
    return last[0] if last and isinstance(last[0], TransformerLayer) else None


@torch.no_grad()
def fused_heads(model: Essen, images: ImageFeatures, texts: TextFeatures) -> CrossHeads:
    """Return the queries and keys with which the last layer of a model's fusion looks across, for B pairs.

    Of ``concat`` they are those of its one sequence, divided by modality; of ``lxmert`` and ``meter`` those of the
    cross-attention.

    Raises:
        ValueError: the model has no fusion of these kinds.
    """
    last = last_fusion_layer(model)
    if isinstance(last, TransformerLayer):
        with recorded(last.qkv) as (outputs,):
            model.fuse(images, texts)
        query, key, _ = split_heads(outputs[0], 3, last.heads)
        length = texts.tokens.shape[1]
        text, image = (Heads(query[:, :, part], key[:, :, part]) for part in (slice(None, length), slice(length, None)))
        return CrossHeads(text, image)
    to_image, to_text = (
        (last.cross, last.cross) if isinstance(last, CrossLayer) else (last.text_cross, last.image_cross)
    )
    with recorded(to_image.query, to_image.key_value, to_text.query, to_text.key_value) as calls:
        model.fuse(images, texts)
    # Where both directions share their weights each is called twice: for the text first, for the picture last.
    heads = to_image.heads
    text_query, image_query = (split_heads(call, 1, heads)[0] for call in (calls[0][0], calls[2][-1]))
    image_key, text_key = (split_heads(call, 2, heads)[0] for call in (calls[1][0], calls[3][-1]))
    return CrossHeads(Heads(text_query, text_key), Heads(image_query, image_key))


def last_fusion_layer(model: Essen) -> TransformerLayer | CrossLayer | CoLayer:
    """Return the layer of a model's fusion whose attention can be learnt.

    Raises:
        ValueError: its fusion has no attention between words and cells.
    """
    fusion = model.fusion
    last = fusion.layers[-1] if isinstance(fusion, MergedFusion | CrossFusion) else None
    if not isinstance(last, TransformerLayer | CrossLayer | CoLayer):
        raise ValueError(f"a fusion of kind {model.config.fusion.kind} has no attention between words and cells")
    return last


def attention_loss(student: CrossHeads, teacher: CrossHeads, mask: Tensor) -> Tensor:
    """Return (B,) float32: how far the student's attention is from the teacher's, both ways added (L_CA of DiDE).

    For every query the Kullback-Leibler divergence of the student's shares from the teacher's, over the keys of the
    other modality alone; the mean over heads and queries. Padding neither looks nor is looked at.

    Args:
        student, teacher: queries and keys of the same B pairs.
        mask: (B, L) bool, True where a text token is real.

    Raises:
        ValueError: they have not equally many heads, words or cells.
    """
    for name, own, other in zip(("text", "image"), student, teacher, strict=True):
        if own.query.shape[1:3] != other.query.shape[1:3]:
            raise ValueError(
                f"{name}: the student has {own.query.shape[1]} heads and {own.query.shape[2]} tokens, the teacher "
                f"{other.query.shape[1]} and {other.query.shape[2]}"
            )
    everywhere = mask.new_ones(student.image.query.shape[0], student.image.query.shape[2])
    to_image = _divergence(
        log_shares(student.text.query, student.image.key, everywhere),
        log_shares(teacher.text.query, teacher.image.key, everywhere),
        mask,
        everywhere,
    )
    to_text = _divergence(
        log_shares(student.image.query, student.text.key, mask),
        log_shares(teacher.image.query, teacher.text.key, mask),
        everywhere,
        mask,
    )
    return to_image + to_text


def log_shares(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
    """Return the logarithms of attention's shares, (B, heads, L, M) float32, over the real keys.

    Args:
        query: (B, heads, L, size).
        key: (B, heads, M, size).
        mask: (B, M) bool, True where a key is real.
    """
    scores = query.float() @ key.float().transpose(-1, -2) / query.shape[-1] ** 0.5
    return scores.masked_fill(~mask[:, None, None], torch.finfo(scores.dtype).min).log_softmax(-1)


def _divergence(own: Tensor, other: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
    """Return (B,) the mean over heads and real queries of Σ p(log p − log q), with log q `own` and log p `other`."""
    # Written out: a library's divergence gives no number where a masked key has a share of zero.
    padding = ~keys[:, None, None]
    target = other.exp().masked_fill(padding, 0.0)
    terms = torch.xlogy(target, target) - target * own.masked_fill(padding, 0.0)
    each = terms.sum(-1).mean(1) * queries
    return each.sum(1) / queries.sum(1).clamp(min=1)


def split_heads(joined: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Return (B, heads, L, size) of each of several parts of (B, L, parts · heads · size)."""
    batch, length, width = joined.shape
    return joined.view(batch, length, parts, heads, width // (parts * heads)).permute(2, 0, 3, 1, 4).unbind(0)


@contextlib.contextmanager
def recorded(*modules: nn.Module) -> Iterator[list[list[Tensor]]]:
    """Keep what each of some modules returns, call by call, as long as the context lasts."""
    outputs: list[list[Tensor]] = [[] for _ in modules]

    def keep(calls: list[Tensor]) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda _module, _inputs, output: calls.append(output)

    hooks = [module.register_forward_hook(keep(calls)) for module, calls in zip(modules, outputs, strict=True)]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()
