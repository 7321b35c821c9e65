"""A held-out set of staged shards: each unique picture and each unique caption once."""

from dataclasses import dataclass

import torch

from essen.data import Pictures, read_pairs
from essen.evaluate.retrieval import Galleries, build_galleries
from pipeline.shards.read import StagedSet


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A held-out set of N pairs, its pictures decoded.

    Attributes:
        name: of the split.
        uids, groups: (N,) of every pair.
        galleries: unique pictures and captions.
        captions: (T,) texts, in the order of the galleries.
        pixels: (I, 3, H, W) uint8, in the order of the galleries.
    """

    name: str
    uids: list[str]
    groups: list[str]
    galleries: Galleries
    captions: list[str]
    pixels: torch.Tensor


def read_held_out(part: StagedSet, size: int) -> HeldOut:
    """Read an evaluation set of a stages directory.

    Args:
        part: the set.
        size: side of the pictures as the model takes them, in pixels.
    """
    pairs = read_pairs([part])
    galleries = build_galleries(pairs.image_of, pairs.caption_of)
    return HeldOut(
        name=part.name,
        uids=pairs.uids,
        groups=part.table.column("group").to_pylist(),
        galleries=galleries,
        captions=[pairs.captions[row] for row in galleries.captions],
        pixels=Pictures([part], size, memory=0).load(galleries.images),
    )
