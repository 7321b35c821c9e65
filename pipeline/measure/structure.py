"""Where the lines of a picture run: a fingerprint that survives another colouring, a redrawing in outlines, a crop.

Gradients are squared as complex numbers, so that an edge from light to dark and one from dark to light are the same
line (Bigün and Granlund 1987), divided by the strength of what is around them, so that a faint contour counts as a
strong one, and averaged in 16 × 16 cells. An encoder that was trained on photographs sees a colouring page and the
painted page as two things; their lines run alike. Nothing is learnt, and two machines agree.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np

VERSION = 1  # raised when a vector changes
SIDE = 128  # of the pictures that are looked at, in pixels
CELLS = 16  # a side
DIM = 2 * CELLS * CELLS + 1
FILE = "structure.npy"
BLUR = 1.0  # standard deviation in pixels: what is finer is paper and compression
AROUND = 13  # side in pixels of the square whose mean strength divides a gradient
FAINT = 8.0  # grey levels of 255 per pixel: weaker gradients count less
BLANK = 0.02  # last feature before normalising: a blank picture has this alone, and is of unit length all the same
CHUNK = 32  # pictures at once; more do not fit a core's cache


def structure(pixels: "np.ndarray") -> "np.ndarray":
    """Return (N, 513) float32 vectors of unit length for (N, 128, 128, 3) uint8 pictures.

    The first 512 features are, for every cell in reading order, the cosine part of all cells and then the sine part.
    """
    import numpy as np

    rows = [_structure(pixels[start : start + CHUNK]) for start in range(0, len(pixels), CHUNK)]
    return np.concatenate(rows) if rows else np.zeros((0, DIM), dtype=np.float32)


def _structure(pixels: "np.ndarray") -> "np.ndarray":
    import numpy as np
    from scipy import ndimage

    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    grey = ndimage.gaussian_filter(grey, (0, BLUR, BLUR), truncate=3)
    right, down = np.zeros_like(grey), np.zeros_like(grey)
    right[:, :, 1:-1] = (grey[:, :, 2:] - grey[:, :, :-2]) / 2
    down[:, 1:-1] = (grey[:, 2:] - grey[:, :-2]) / 2
    strength = np.hypot(right, down)
    around = ndimage.uniform_filter(strength, (0, AROUND, AROUND)) + FAINT
    weight = 1 / (np.maximum(strength, 1e-6) * around)
    cells = [_cell_means(part * weight) for part in (right * right - down * down, 2 * right * down)]
    rows = np.concatenate([*cells, np.full((len(grey), 1), BLANK, dtype=np.float32)], axis=1)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _cell_means(values: "np.ndarray") -> "np.ndarray":
    """Return the (N, 256) means of the cells of (N, 128, 128) values."""
    side = SIDE // CELLS
    return values.reshape(len(values), CELLS, side, CELLS, side).mean(axis=(2, 4)).reshape(len(values), -1)


def structure_identity() -> dict[str, Any]:
    """Return what decides the vectors: part of the header of the embeddings."""
    return {"version": VERSION, "side": SIDE, "cells": CELLS, "dim": DIM}


def read_structure(folder: Path, rows: int) -> "np.ndarray":
    """Return the (rows, 513) float32 vectors of a folder of embeddings, in the order of its ``images.json``.

    Raises:
        DataError: there are none, or of other pictures.
    """
    import numpy as np

    path = folder / FILE
    if not path.is_file():
        raise DataError(f"{path} is missing; remove {folder} and run again")
    vectors = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    if vectors.shape != (rows, DIM) or vectors.dtype != np.float32:
        raise DataError(f"{path} holds {vectors.shape} {vectors.dtype} for {rows} pictures; remove it and run again")
    return vectors
