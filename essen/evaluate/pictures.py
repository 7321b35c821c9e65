"""Pictures from outside, decoded as the shards' own were and brought to the square that a model takes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from essen.errors import TrialsError
from essen.evaluate.encoders import Encoder, Features
from pipeline import files
from pipeline.shards.picture import PictureError, decode_rgb, letterbox
from pipeline.tar import read_span

WORKERS = 2
GREY = 128  # of the picture that shows nothing


@dataclass(frozen=True, slots=True)
class Source:
    """Where an encoded picture lies: a whole file, or a part of an archive.

    Attributes:
        path: the file.
        offset, size: of the content in bytes; `size` None: the whole file.
    """

    path: Path
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """Return the encoded picture.

        Raises:
            TrialsError: it is not there.
        """
        try:
            return self.path.read_bytes() if self.size is None else read_span(self.path, self.offset, self.size)
        except OSError as error:
            raise TrialsError(
                f"{self.path} cannot be read ({error.strerror}); put it back or drop its trials"
            ) from None


@dataclass(frozen=True, slots=True)
class EncodedPictures:
    """Features of I pictures and, in row I, of a plain grey one.

    Attributes:
        features: (I + 1) rows.
        sha256: (I,) of the encoded pictures.
    """

    features: Features
    sha256: list[str]


def encode_pictures(encoder: Encoder, sources: Sequence[Source], fit: str, batch_size: int) -> EncodedPictures:
    """Read and encode pictures, a batch at a time, the next one being decoded meanwhile.

    Args:
        encoder: the model.
        sources: the pictures.
        fit: how a picture becomes a square; see `essen.config.ScoreConfig`.
        batch_size: pictures in memory at once.

    Raises:
        TrialsError: a picture is missing or cannot be decoded.
    """
    grey = torch.full((1, 3, encoder.image_size, encoder.image_size), GREY, dtype=torch.uint8)
    parts, digests = [], []
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="pictures") as threads:
        chunks = [sources[start : start + batch_size] for start in range(0, len(sources), batch_size)]
        waiting = [threads.submit(_load, source, encoder.image_size, fit) for source in chunks[0]] if chunks else []
        for following in [*chunks[1:], []]:
            ready, waiting = waiting, [threads.submit(_load, source, encoder.image_size, fit) for source in following]
            loaded = [task.result() for task in ready]
            digests += [digest for digest, _ in loaded]
            pixels = torch.from_numpy(np.stack([picture for _, picture in loaded]))
            parts.append(encoder.encode_images(pixels.permute(0, 3, 1, 2)))
    return EncodedPictures(join([*parts, encoder.encode_images(grey)]), digests)


def join(parts: Sequence[Any]) -> Any:
    """Return features one after the other; they are named tuples of tensors with the rows first."""
    return type(parts[0])(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def to_square(image: Image.Image, size: int, fit: str) -> NDArray[np.uint8]:
    """Return a picture in RGB as (size, size, 3) uint8: whole on white, stretched, or cut at the longer side's ends.

    One that is square already, as staged ones are, is scaled as `essen.data` scales it, so that scores are the same.
    """
    if fit == "stretch" or image.width == image.height:
        square = image.resize((size, size), Image.Resampling.BICUBIC)
    elif fit == "letterbox":
        square = letterbox(image, size)
    else:
        square = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(square)


def _load(source: Source, size: int, fit: str) -> tuple[str, NDArray[np.uint8]]:
    data = source.read()
    try:
        return files.sha256_bytes(data), to_square(decode_rgb(data), size, fit)
    except PictureError as error:
        raise TrialsError(f"{source.path} {error}; replace it or drop its trials") from None
