"""Reading staged shards: the pairs as columns, and any of their pictures by row."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from essen.errors import StagesError
from pipeline.sample import normalise_caption
from pipeline.shards.read import ShardReader, StagedSet


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The samples of one or more sets, row by row.

    Attributes:
        uids, captions: (n,) text.
        image_of: (n,) int64, equal where the picture's content is equal.
        caption_of: (n,) int64, equal where the normalised caption is equal, upper or lower case.
        stages: (n,) int64, the stage of each row; 0 in evaluation sets.
    """

    uids: list[str]
    captions: list[str]
    image_of: NDArray[np.int64]
    caption_of: NDArray[np.int64]
    stages: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.uids)


def read_pairs(sets: Sequence[StagedSet]) -> Pairs:
    """Return the pairs of some sets, in their order.

    Raises:
        StagesError: there is none.
    """
    uids = [uid for part in sets for uid in part.column("uid")]
    if not uids:
        names = ", ".join(part.name for part in sets) or "none"
        raise StagesError(f"there is no sample in these sets: {names}; relax the filters and stage again")
    captions = [caption for part in sets for caption in part.column("caption")]
    images = [image for part in sets for image in part.column("image_sha256")]
    return Pairs(
        uids=uids,
        captions=captions,
        image_of=_codes(images),
        caption_of=_codes([normalise_caption(caption).casefold() for caption in captions]),
        stages=np.concatenate([np.full(len(part), part.stage, np.int64) for part in sets]),
    )


class Pictures:
    """The pictures of one or more sets, decoded when they are first asked for and then kept.

    Args:
        sets: in the order in which their rows are counted.
        size: side of the pictures that are handed out, pixels; staged pictures of another size are scaled.
        memory: MiB that the decoded pictures may take; where they would take more, none is kept.
    """

    def __init__(self, sets: Sequence[StagedSet], size: int, *, memory: int = 2048) -> None:
        self._reader = ShardReader(*sets)
        self._size = size
        self._uids = [uid for part in sets for uid in part.column("uid")]
        count = len(self._reader)
        fits = count * 3 * size * size <= memory * 2**20
        self._kept = torch.empty((count, 3, size, size), dtype=torch.uint8) if fits else None
        self._known = np.zeros(count, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._reader)

    def load(self, rows: NDArray[np.int64]) -> Tensor:
        """Return pictures by row, (len(rows), 3, size, size) uint8.

        Raises:
            StagesError: a picture cannot be decoded.
        """
        if self._kept is None:
            return torch.stack([self._decode(int(row)) for row in rows])
        for row in rows[~self._known[rows]]:
            self._kept[row] = self._decode(int(row))
        self._known[rows] = True
        return self._kept[torch.from_numpy(rows)]

    def _decode(self, row: int) -> Tensor:
        data = self._reader.read(row)
        try:
            with Image.open(io.BytesIO(data)) as file:
                image = file.convert("RGB")
        except (OSError, ValueError) as error:
            raise StagesError(f"picture {self._uids[row]} cannot be decoded ({error}); stage again") from None
        if image.size != (self._size, self._size):
            image = image.resize((self._size, self._size), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _codes(values: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(np.array(values, dtype=object), return_inverse=True)[1].astype(np.int64)
