"""A verdict on a picture, and its pixels."""

import io

import numpy as np
from PIL import Image

from pipeline.acquire.pictures.admit import Admitted, admit

MAX = 1_000_000


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)


def admitted(data: bytes) -> Admitted:
    verdict = admit(data, max_pixels=MAX)
    assert isinstance(verdict, Admitted), verdict
    return verdict
