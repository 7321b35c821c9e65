"""Pictures for the page: read by seek from the run's own tars, made small, and embedded as data."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.shards.picture import PictureError, decode_rgb, letterbox

if TYPE_CHECKING:
    from pipeline.shards.read import ShardReader, StagedSet, Stages

QUALITY = 82


def data_uri(encoded: bytes, side: int) -> str:
    """Return an encoded picture as the ``data:`` address of a square JPEG with the given side in pixels.

    Raises:
        PictureError: the bytes cannot be decoded.
    """
    out = io.BytesIO()
    letterbox(decode_rgb(encoded), side).save(out, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def staged_pictures(part: "StagedSet", rows: list[int], side: int) -> list[str]:
    """Return the pictures of some rows of a staged set as ``data:`` addresses."""
    from pipeline.shards.read import ShardReader

    reader = ShardReader(part)
    return [data_uri(reader.read(row), side) for row in rows]


def held_out_pictures(stages: "Stages", unsafe: frozenset[str]) -> "dict[str, tuple[ShardReader, int]]":
    """Return, for every uid of the evaluation sets, a reader and the row where the encoded picture lies.

    Args:
        unsafe: hashes of pictures that are left out.
    """
    from pipeline.shards.read import ShardReader

    places = {}
    for part in stages.evaluation.values():
        reader = ShardReader(part)
        columns = part.table.select(["uid", "image_sha256"]).to_pydict()
        pairs = zip(columns["uid"], columns["image_sha256"], strict=True)
        places.update({uid: (reader, row) for row, (uid, image) in enumerate(pairs) if image not in unsafe})
    return places


def blank(side: int) -> str:
    """Return a white square as a ``data:`` address: what stands where a picture may not be shown."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (side, side), "white").save(out, "PNG")
    return data_uri(out.getvalue(), side)


def raw_picture(run: Path, shard: str, offset: int, size: int, side: int) -> str:
    """Return a picture of a raw shard as a ``data:`` address.

    Raises:
        DataError: it is not where the signals say, or cannot be decoded.
    """
    tar = run / shard
    try:
        with tar.open("rb") as file:
            file.seek(offset)
            return data_uri(file.read(size), side)
    except (FileNotFoundError, PictureError):
        raise DataError(f"{tar} has no picture at byte {offset}; run acquire and measure again") from None
