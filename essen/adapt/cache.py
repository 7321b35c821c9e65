"""The tokens that towers which stand still make of pictures and captions, computed once and read ever after.

They are a function of the model and the data alone: the first step, and the first after a resume, finds the same bits,
for they are always computed in the same portions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from essen.config import CacheConfig
from essen.data import Rows
from essen.errors import EssenError
from essen.model import Essen

PORTION = 64  # pictures or captions that go through a tower at once
MIB = 2**20


@dataclass(frozen=True, slots=True)
class KeptTowers:
    """What is kept of each tower: the tokens of the different pictures, of the different captions, or None."""

    images: "KeptTokens | None" = None
    texts: "KeptTokens | None" = None


class KeptTokens:
    """The tokens of n inputs; those of the last that do not fit are computed whenever they are asked for.

    Attributes:
        bytes: that are taken.

    Args:
        encode: returns the tokens (R, L, h) of some inputs (R,), L as long as the longest of them.
        lengths: (n,) tokens of each input.
        room: most bytes to take.
        half: keep float32 as float16.
        between: called before each portion that is computed to be kept; may raise to give up.
    """

    def __init__(
        self,
        encode: Callable[[Rows], Tensor],
        lengths: Rows,
        room: int,
        *,
        half: bool = False,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self._encode, self._lengths = encode, lengths
        self._ends = np.cumsum(lengths)
        first = encode(np.arange(1))
        self._dtype = first.dtype
        kept_as = torch.float16 if half and first.dtype == torch.float32 else first.dtype
        self._known = int(np.searchsorted(self._ends * first.shape[2] * kept_as.itemsize, room, side="right"))
        size = int(self._ends[self._known - 1]) if self._known else 0
        self._tokens = torch.empty(size, first.shape[2], dtype=kept_as)
        self.bytes = self._tokens.numel() * kept_as.itemsize
        self._fill(between)

    def __call__(self, rows: Rows) -> Tensor:
        """Return the tokens (R, L, h) of some inputs; what lies behind an input's end is finite and means nothing."""
        length, known = int(self._lengths[rows].max()), rows < self._known
        if known.all():
            return self._read(rows, length)
        others = self._encode(rows[~known])
        tokens = torch.zeros(len(rows), length, others.shape[2], dtype=self._dtype)
        tokens[torch.from_numpy(~known), : others.shape[1]] = others
        if known.any():
            tokens[torch.from_numpy(known)] = self._read(rows[known], length)
        return tokens

    def _read(self, rows: Rows, length: int) -> Tensor:
        begins = self._ends[rows] - self._lengths[rows]
        places = np.minimum(begins[:, None] + np.arange(length), len(self._tokens) - 1)
        read = self._tokens.index_select(0, torch.from_numpy(places.reshape(-1)))
        return read.view(len(rows), length, -1).to(self._dtype)

    def _fill(self, between: Callable[[], None]) -> None:
        # Inputs of like length go together, so that little is computed for padding.
        order = np.argsort(self._lengths[: self._known], kind="stable")
        for start in range(0, len(order), PORTION):
            between()
            rows = order[start : start + PORTION]
            tokens = self._encode(rows)
            for row, own in zip(rows, tokens, strict=True):
                end, length = self._ends[row], self._lengths[row]
                self._tokens[end - length : end] = own[:length]
        if self._tokens.dtype == torch.float16 and not self._tokens.isfinite().all():
            raise EssenError("train.cache: a tower's tokens do not fit into float16; set train.cache.half to false")


def keep_towers(
    model: Essen,
    load: Callable[[Rows], Tensor],
    pictures: int,
    ids: Tensor,
    mask: Tensor,
    config: CacheConfig,
    *,
    bf16: bool,
    between: Callable[[], None] = lambda: None,
) -> KeptTowers:
    """Compute what a configuration wants to be kept.

    Args:
        model: whose towers these are.
        load: returns different pictures by number, (R, 3, H, W) uint8.
        pictures: how many there are.
        ids, mask: (captions, L) of the different captions.
        config: whose tokens, and how much of them.
        bf16: whether the towers compute in bfloat16.
        between: called now and then while that goes on; may raise to give up.
    """

    @torch.no_grad()
    def encode_images(rows: Rows) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return model.vision.encode(model.see(load(rows)))

    @torch.no_grad()
    def encode_texts(rows: Rows) -> Tensor:
        chosen = torch.from_numpy(rows)
        length = int(mask[chosen].sum(1).max())
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return model.text.encode(ids[chosen, :length], mask[chosen, :length])

    images, texts, room = None, None, config.memory * MIB
    if config.towers in ("text", "both"):
        texts = KeptTokens(encode_texts, mask.sum(1).numpy(), room, half=config.half, between=between)
        room -= texts.bytes
    if config.towers in ("vision", "both"):
        cells = np.full(pictures, encode_images(np.arange(1)).shape[1])
        images = KeptTokens(encode_images, cells, room, half=config.half, between=between)
    return KeptTowers(images, texts)
