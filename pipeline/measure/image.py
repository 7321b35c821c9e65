"""What can be seen of a picture without a model: size, information, light, colour, detail, and two fingerprints."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.parallel import ordered_map
from pipeline.shards.picture import PictureError, decode_rgb
from pipeline.tables import read_columns, write_table
from pipeline.tar import read_span

if TYPE_CHECKING:
    import numpy as np

# Names and Arrow types of the signals; `image_sha256` is joined away.
SIGNALS = {
    "width": "int32",
    "height": "int32",
    "aspect": "float64",
    "entropy": "float64",
    "brightness": "float64",
    "colourfulness": "float64",
    "edge_density": "float64",
    "sharpness": "float64",
    "pixel_sha256": "string",
    "phash": "string",
    "thumbnail": "binary",
}
ANALYSED_SIDE = 128  # signals of larger pictures are measured on a copy of this longer side, so that they compare
THUMBNAIL = 16  # side of the thumbnails by which duplicates are told apart
VERSION = 2  # raised when a signal gets another meaning or a new one is added
EDGE = 0.1  # a gradient of this share of the full range is an edge


def write_image_signals(samples: Path, images: Mapping[str, tuple[Path, int, int]], path: Path, *, workers: int) -> int:
    """Measure every distinct picture once and write ``image.parquet``, one row a sample, sorted by uid.

    Args:
        samples: the catalogue.
        images: tar, offset and size by image hash.
        path: the parquet file to write.
        workers: processes; they do not change a byte.

    Returns:
        The number of pictures that could not be decoded; their signals are null.
    """
    import pyarrow as pa

    catalogue = read_columns(samples, ["uid", "image_sha256"])
    measured = dict(zip(images, _measured(images, workers), strict=True))
    columns: dict[str, Any] = {"uid": catalogue["uid"]}
    for name, kind in SIGNALS.items():
        values = [measured[image].get(name) for image in catalogue["image_sha256"]]
        columns[name] = pa.array(values, type=pa.type_for_alias(kind))
    write_table(path, pa.table(columns))
    return sum(not signals for signals in measured.values())


def _measured(images: Mapping[str, tuple[Path, int, int]], workers: int) -> Iterator[dict[str, Any]]:
    chunks = _chunks(list(images.values()), 32)
    for chunk in ordered_map(_measure_chunk, chunks, workers=workers, crashed=_crashed, window=2 * workers + 2):
        yield from chunk


def _chunks(places: list[tuple[Path, int, int]], size: int) -> Iterator[list[tuple[Path, int, int]]]:
    return (places[start : start + size] for start in range(0, len(places), size))


def _crashed(chunk: list[tuple[Path, int, int]]) -> list[dict[str, Any]]:
    return [{} for _ in chunk]


def _measure_chunk(chunk: list[tuple[Path, int, int]]) -> list[dict[str, Any]]:
    return [measure_picture(read_span(*place)) for place in chunk]


def measure_picture(data: bytes) -> dict[str, Any]:
    """Return the signals of one encoded picture; none where it cannot be decoded.

    ``entropy`` is that of the grey levels in bits (0 to 8), ``brightness`` the mean grey level (0 to 1),
    ``colourfulness`` the measure of Hasler and Süsstrunk (2003), ``edge_density`` the share of pixels on an edge,
    ``sharpness`` the variance of the Laplacian of grey levels in 0..1, ``pixel_sha256`` the hash of size and RGB
    pixels, ``phash`` the 64 bits of the perceptual hash in hex, and ``thumbnail`` the 16 × 16 × 3 bytes of the picture
    stretched to a square, each the mean of its cell.
    """
    import imagehash
    import numpy as np
    from PIL import Image

    try:
        picture = decode_rgb(data)
    except PictureError:
        return {}
    width, height = picture.size
    pixels = hashlib.sha256(f"{width}x{height}".encode() + picture.tobytes()).hexdigest()
    small = picture.copy()
    small.thumbnail((ANALYSED_SIDE, ANALYSED_SIDE), Image.Resampling.BOX)
    grey = np.asarray(small.convert("L"))
    light = grey.astype(np.float64) / 255
    return {
        "width": width,
        "height": height,
        "aspect": max(width, height) / min(width, height),
        "entropy": _entropy(grey),
        "brightness": float(light.mean()),
        "colourfulness": _colourfulness(np.asarray(small)),
        "edge_density": _edge_density(light),
        "sharpness": _sharpness(light),
        "pixel_sha256": pixels,
        "phash": str(imagehash.phash(small)),
        "thumbnail": picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes(),
    }


def _entropy(grey: "np.ndarray") -> float:
    """Return the entropy, in bits, of (H, W) uint8 grey levels."""
    import numpy as np

    counts = np.bincount(grey.ravel(), minlength=256)
    shares = counts[counts > 0] / grey.size
    return float(abs(-(shares * np.log2(shares)).sum()))


def _colourfulness(rgb: "np.ndarray") -> float:
    """Return the measure M3 of Hasler and Süsstrunk (2003) of (H, W, 3) uint8 pixels; about 0 to 110."""
    import numpy as np

    red, green, blue = (rgb[..., channel].astype(np.float64) for channel in range(3))
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    deviation = np.hypot(red_green.std(), yellow_blue.std())
    return float(deviation + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def _edge_density(light: "np.ndarray") -> float:
    """Return the share of pixels whose step to the right or down neighbour is an edge; `light` is (H, W) in 0..1."""
    import numpy as np

    if min(light.shape) < 2:
        return 0.0
    right, down = np.abs(np.diff(light, axis=1))[:-1], np.abs(np.diff(light, axis=0))[:, :-1]
    return float((np.maximum(right, down) > EDGE).mean())


def _sharpness(light: "np.ndarray") -> float:
    """Return the variance of the 4-neighbour Laplacian of (H, W) levels in 0..1."""
    if min(light.shape) < 3:
        return 0.0
    neighbours = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:]
    return float((neighbours - 4 * light[1:-1, 1:-1]).var())
