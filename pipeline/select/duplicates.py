"""Duplicates by a greedy leader: every dropped picture has a kept partner that is as close as the rule demands.

Pictures are walked once in an order that depends on them alone (more pixels first, then the hash). One stays unless a
picture that stayed is its duplicate; then it goes, and the closest of these is its partner. So no two pictures that
stay are duplicates, none goes without a partner that stays, and the outcome does not depend on the input's order. Both
are checked at every run. Several captions of one picture are several samples of one picture, never duplicates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.select.config import DuplicateConfig

if TYPE_CHECKING:
    import numpy as np

SLACK = 1e-4  # the search goes this far below the floor; each cosine is then computed again in double precision
DECIMALS = 6  # of a cosine, so that it does not depend on the order in which a machine adds
BLOCK = 4_096  # pairs at a time, for memory only


@dataclass(frozen=True, slots=True)
class Picture:
    """What decides whether two pictures are one.

    Attributes:
        sha256: of the bytes.
        pixel_sha256: of the decoded pixels and their size.
        phash: the bits of the perceptual hash.
        entropy: of the grey levels, in bits.
        pixels: width times height.
        thumbnail: bytes of a small copy, of one length for all pictures.
    """

    sha256: str
    pixel_sha256: str
    phash: int
    entropy: float
    pixels: int
    thumbnail: bytes


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that are close.

    Attributes:
        first, second: rows into the list of pictures, `first` < `second`.
        cosine: of their embeddings, to six decimals.
        hamming: number of bits in which the perceptual hashes differ.
        difference: the largest difference between the thumbnails, in any cell and colour; 0 to 1.
        same_pixels: the decoded pictures are equal.
    """

    first: int
    second: int
    cosine: float
    hamming: int
    difference: float
    same_pixels: bool


@dataclass(frozen=True, slots=True)
class Partner:
    """Why a picture goes: the row of the one that stays, their cosine, and whether their pixels are equal."""

    row: int
    cosine: float
    same_pixels: bool


def leader_order(pictures: Sequence[Picture]) -> list[Picture]:
    """Return the pictures in the order in which they may stay: more pixels first, then by hash."""
    return sorted(pictures, key=lambda picture: (-picture.pixels, picture.sha256))


def close_pairs(pictures: Sequence[Picture], vectors: "np.ndarray", floor: float) -> list[Pair]:
    """Return all pairs with a cosine of at least `floor` or with equal pixels, by exact search, sorted by rows.

    Args:
        pictures: N of them.
        vectors: (N, D) float32 of unit length, row i for picture i.
    """
    import faiss
    import numpy as np

    if not pictures:
        return []
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    limits, _, rows = index.range_search(vectors, floor - SLACK)
    owners = np.repeat(np.arange(len(pictures)), np.diff(limits).astype(np.int64))
    chosen = owners < rows
    equal = _equal_pixels(pictures)
    candidates = sorted(equal.union(zip(owners[chosen].tolist(), rows[chosen].tolist(), strict=True)))
    thumbnails = np.frombuffer(b"".join(p.thumbnail for p in pictures), dtype=np.uint8).reshape(len(pictures), -1)
    pairs = []
    for start in range(0, len(candidates), BLOCK):
        block = candidates[start : start + BLOCK]
        cosines, differences = _compare(vectors, thumbnails, np.array(block))
        for (first, second), cosine, difference in zip(block, cosines, differences, strict=True):
            a, b, same = pictures[first], pictures[second], (first, second) in equal
            if cosine >= floor or same:
                pairs.append(Pair(first, second, cosine, (a.phash ^ b.phash).bit_count(), difference, same))
    return pairs


def _equal_pixels(pictures: Sequence[Picture]) -> set[tuple[int, int]]:
    groups: dict[str, list[int]] = {}
    for row, picture in enumerate(pictures):
        groups.setdefault(picture.pixel_sha256, []).append(row)
    return {(a, b) for rows in groups.values() for place, a in enumerate(rows) for b in rows[place + 1 :]}


def _compare(vectors: "np.ndarray", thumbnails: "np.ndarray", block: "np.ndarray") -> tuple[list[float], list[float]]:
    """Return the cosines and the largest differences of a (P, 2) block of rows."""
    import numpy as np

    first, second = block.T
    cosines = np.einsum("pd,pd->p", vectors[first].astype(np.float64), vectors[second].astype(np.float64))
    apart = np.abs(thumbnails[first].astype(np.int16) - thumbnails[second]).max(axis=1, initial=0) / 255
    return np.minimum(np.round(cosines, DECIMALS), 1.0).tolist(), np.round(apart, DECIMALS).tolist()


def is_duplicate(config: DuplicateConfig, pictures: Sequence[Picture], pair: Pair) -> bool:
    """Tell whether a pair is one picture by the rule."""
    if pair.same_pixels:
        return True
    if min(pictures[pair.first].entropy, pictures[pair.second].entropy) < config.blank_entropy:
        return False
    return pair.cosine >= config.cosine and pair.hamming <= config.hamming and pair.difference <= config.difference


def greedy_leader(config: DuplicateConfig, pictures: Sequence[Picture], pairs: Sequence[Pair]) -> dict[int, Partner]:
    """Walk the pictures in their order and return the partner of every one that goes, by row.

    Args:
        pictures: in the order of `leader_order`.
        pairs: from `close_pairs`, with a floor that is not above the rule's cosine.

    Raises:
        DataError: the guarantee does not hold.
    """
    neighbours: dict[int, list[Partner]] = {}
    duplicates = [pair for pair in pairs if is_duplicate(config, pictures, pair)]
    for pair in duplicates:
        neighbours.setdefault(pair.first, []).append(Partner(pair.second, pair.cosine, pair.same_pixels))
        neighbours.setdefault(pair.second, []).append(Partner(pair.first, pair.cosine, pair.same_pixels))
    dropped: dict[int, Partner] = {}
    for row in range(len(pictures)):
        kept = [p for p in neighbours.get(row, ()) if p.row < row and p.row not in dropped]
        if kept:
            dropped[row] = max(kept, key=lambda p: (p.same_pixels, p.cosine, -p.row))
    check_guarantee(dropped, duplicates)
    return dropped


def check_guarantee(dropped: Mapping[int, Partner], duplicates: Sequence[Pair]) -> None:
    """Raise unless every picture that goes has a partner that stays, and no two that stay are duplicates.

    Raises:
        DataError: with the number of violations.
    """
    known = {(pair.first, pair.second) for pair in duplicates}
    orphans = [
        row
        for row, partner in dropped.items()
        if partner.row in dropped or (min(row, partner.row), max(row, partner.row)) not in known
    ]
    if orphans:
        raise DataError(f"{len(orphans)} duplicates were dropped without a partner that stays")
    left = [pair for pair in duplicates if pair.first not in dropped and pair.second not in dropped]
    if left:
        raise DataError(f"{len(left)} pairs of duplicates stayed together")
