"""A model's features of a held-out set: each unique picture and each unique caption once."""

import contextlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from essen.data import Pictures, read_pairs
from essen.evaluate.retrieval import Galleries, Ints, build_galleries
from essen.model import Essen, ImageFeatures, TextFeatures
from essen.tokenizer import CaptionTokenizer
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


@dataclass(frozen=True, slots=True)
class Encoded:
    """Features of I pictures and T captions, and their cosine similarity (T, I) float32."""

    images: ImageFeatures
    texts: TextFeatures
    similarity: NDArray[np.float32]


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


@torch.inference_mode()
def encode(model: Essen, tokenizer: CaptionTokenizer, held_out: HeldOut, batch_size: int, bf16: bool) -> Encoded:
    """Return a model's features of a held-out set. The model is put in evaluation mode."""
    model.eval()
    ids, mask = tokenizer.encode(held_out.captions, model.config.text.max_length)
    with _autocast(bf16):
        pictures = [model.encode_images(batch) for batch in held_out.pixels.split(batch_size)]
        captions = [
            model.encode_texts(*batch) for batch in zip(ids.split(batch_size), mask.split(batch_size), strict=True)
        ]
    images = ImageFeatures(*(torch.cat(parts) for parts in zip(*pictures, strict=True)))
    texts = TextFeatures(*(torch.cat(parts) for parts in zip(*captions, strict=True)))
    similarity = texts.embedding.float() @ images.embedding.float().T
    return Encoded(images, texts, similarity.numpy())


@torch.inference_mode()
def match_scores(
    model: Essen, encoded: Encoded, captions: Ints, images: Ints, batch_size: int, bf16: bool
) -> NDArray[np.float32]:
    """Return the fusion module's logits (P,) that caption and picture of each of P pairs belong together.

    Args:
        model: in evaluation mode.
        encoded: its features.
        captions, images: (P,) rows of the galleries.
        batch_size: pairs at once.
        bf16: whether to compute in bfloat16 where that is safe.
    """
    model.eval()
    lengths = encoded.texts.mask.sum(dim=1).numpy()
    order = np.argsort(lengths[captions], kind="stable")  # captions of like length together: little padding to compute
    logits = np.empty(len(captions), dtype=np.float32)
    for start in range(0, len(order), batch_size):
        pairs = order[start : start + batch_size]
        longest = int(lengths[captions[pairs[-1]]])
        embedding, tokens, mask = (part[torch.from_numpy(captions[pairs])] for part in encoded.texts)
        texts = TextFeatures(embedding, tokens[:, :longest], mask[:, :longest])
        pictures = ImageFeatures(*(part[torch.from_numpy(images[pairs])] for part in encoded.images))
        with _autocast(bf16):
            logits[pairs] = model.match(pictures, texts).float().numpy()
    return logits


def _autocast(bf16: bool) -> contextlib.AbstractContextManager[object]:
    return torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else contextlib.nullcontext()
