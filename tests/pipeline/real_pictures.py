"""Raw corpora of small real pictures, written by the same function that every engine uses."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.acquire.raw import RawRow, write_raw


def picture(seed: int, side: int = 40, kind: str = "PNG") -> bytes:
    """An encoded picture of smooth coloured noise, another one for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return encoded(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), kind)


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def row(caption: str, image: bytes | None, **values: str) -> RawRow:
    fields = {"url": f"test:{caption[:20]}", "ext": "png", "lang": "en", "group": caption[:20], **values}
    return RawRow(caption=caption, image=image, **fields)


def corpus(run: Path, name: str, rows: list[RawRow], rows_per_shard: int = 2_000) -> Path:
    """Write raw/<name> below a run directory and return it."""
    write_raw(rows, run / "raw" / name, rows_per_shard=rows_per_shard)
    return run / "raw" / name
