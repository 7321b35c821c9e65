"""Reading staged shards: the pairs as columns, and any of their pictures by row.

A batch of pictures is a function of its rows alone. Threads decode it, the next one while the present one is computed
with, and neither their number nor what was read before changes a byte: there is nothing to remember for a resume.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from essen.errors import EssenError, StagesError
from pipeline.sample import normalise_caption
from pipeline.shards.read import ShardReader, StagedSet

Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]

CHUNK = 32  # pictures that a thread decodes at once
MAX_PIXELS = 50_000_000  # refused from the header, before anything is decoded
COLOURS = ("YCbCr", "RGB", "Gray")


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
    image_of: Rows
    caption_of: Rows
    stages: Rows

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


def rank_rows(rows: Rows, rank: int, world: int) -> Rows:
    """Return the rows of a global batch that one of several training processes takes.

    The parts of ranks 0, 1, … one after the other are the global batch, whatever their number.

    Args:
        rows: the global batch, (B,).
        rank: from 0 upwards.
        world: number of processes.

    Raises:
        EssenError: B is no multiple of `world`.
    """
    if len(rows) % world:
        raise EssenError(
            f"a batch of {len(rows)} cannot be divided among {world} processes; make train.batch_size a multiple of "
            f"{world}"
        )
    own = len(rows) // world
    return rows[rank * own : (rank + 1) * own]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Pictures on their way: what was asked for, where it will lie, and the threads' work that is not done before."""

    rows: Rows
    pixels: Pixels
    tasks: list[Future[None]]


class Pictures:
    """The pictures of one or more sets, decoded by threads; the first of them are kept once they are decoded.

    At most the kept pictures, the batch that is being asked for and the one that is expected lie in memory. An object
    belongs to one thread, that which asks.

    Attributes:
        waited: seconds that `load` has taken so far.

    Args:
        sets: in the order in which their rows are counted.
        size: side of the pictures that are handed out, pixels; staged pictures of another size are scaled.
        memory: MiB that kept pictures may take; those of the last rows that do not fit are decoded every time.
        workers: threads that decode. The decoder runs without the interpreter's lock.
    """

    def __init__(self, sets: Sequence[StagedSet], size: int, *, memory: int = 2048, workers: int = 2) -> None:
        self._reader = ShardReader(*sets)
        self._size = size
        self._uids = [uid for part in sets for uid in part.column("uid")]
        room = min(len(self._reader), memory * 2**20 // (3 * size * size))
        self._kept: Pixels = np.empty((room, size, size, 3), np.uint8)
        self._known = np.zeros(room, np.bool_)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="pictures")
        self._expected: _Batch | None = None
        self.waited = 0.0

    def __len__(self) -> int:
        return len(self._reader)

    def expect(self, rows: Rows) -> None:
        """Start to decode what `load` will probably be asked for next; a wrong guess costs time and nothing else."""
        self._forget()
        self._expected = self._start(rows)

    def load(self, rows: Rows) -> Tensor:
        """Return pictures by row, (len(rows), 3, size, size) uint8, the channels last in memory.

        Raises:
            DataError: a shard is missing or cut.
            StagesError: a picture cannot be decoded.
        """
        started = time.monotonic()
        if self._expected is None or not np.array_equal(self._expected.rows, rows):
            self.expect(rows)
        batch, self._expected = self._expected, None
        assert batch is not None, "just started"
        try:
            for task in batch.tasks:
                task.result()
        finally:
            _cancel(batch)
        self.waited += time.monotonic() - started
        return torch.from_numpy(batch.pixels).permute(0, 3, 1, 2)

    def close(self) -> None:
        """Let the threads go; what they have begun is finished, the rest is not."""
        self._forget()
        self._threads.shutdown()

    def _forget(self) -> None:
        if self._expected is not None:
            _cancel(self._expected)
            self._expected = None

    def _start(self, rows: Rows) -> _Batch:
        pixels = np.empty((len(rows), self._size, self._size, 3), np.uint8)
        parts = [slice(start, start + CHUNK) for start in range(0, len(rows), CHUNK)]
        return _Batch(rows, pixels, [self._threads.submit(self._fill, rows[part], pixels[part]) for part in parts])

    def _fill(self, rows: Rows, pixels: Pixels) -> None:
        """Put the pictures of some rows into `pixels`, and keep those for which there is room."""
        for row, place in zip(rows.tolist(), pixels, strict=True):
            if row < len(self._kept) and self._known[row]:
                place[:] = self._kept[row]
                continue
            self._decode(row, place)
            if row < len(self._kept):
                self._kept[row] = place
                self._known[row] = True

    def _decode(self, row: int, place: Pixels) -> None:
        try:
            decode_jpeg(self._reader.view(row), place)
        except ValueError as error:
            raise StagesError(f"picture {self._uids[row]} cannot be decoded ({error}); stage again") from None


def decode_jpeg(data: bytes | memoryview, place: Pixels) -> None:
    """Decode a JPEG into an array (size, size, 3); one of another size is scaled.

    The pixels are those of Pillow, to the bit: the same decoder with its accurate transform and smooth upsampling.

    Raises:
        ValueError: it is no JPEG in colours or grey, it is damaged, if only in a way that could be passed over, or it
            is too large.
    """
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    if colours not in COLOURS:
        raise ValueError(f"its colours are {colours}")
    if (height, width) == place.shape[:2]:
        simplejpeg.decode_jpeg(data, "RGB", buffer=place)
        return
    if height * width > MAX_PIXELS:
        raise ValueError(f"it has {width} × {height} pixels")
    image = Image.fromarray(simplejpeg.decode_jpeg(data, "RGB"))
    place[:] = np.asarray(image.resize((place.shape[1], place.shape[0]), Image.Resampling.BICUBIC))


def _cancel(batch: _Batch) -> None:
    for task in batch.tasks:
        task.cancel()


def _codes(values: Sequence[str]) -> Rows:
    return np.unique(np.array(values, dtype=object), return_inverse=True)[1].astype(np.int64)
