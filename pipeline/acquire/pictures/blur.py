"""Faces made unrecognisable, before anything of a picture is stored; a plug-in finds them."""

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.acquire.raw import RawRow
from pipeline.errors import ConfigError
from pipeline.plugins import load_plugin

if TYPE_CHECKING:
    from PIL import Image

MARGIN = 0.15  # of a box's sides, added around it: detectors cut off chin and hair
CELLS = 5  # what stays of a face is this many means across, and blurred besides


def blurred(rows: Iterable[RawRow], plugin: str) -> Iterator[RawRow]:
    """Yield rows, in order, with every face of their pictures blurred.

    A picture with a face becomes a PNG, its row says how many there were. A face that the plug-in does not find stays.

    Args:
        plugin: ``module:function`` from (H, W, 3) uint8 to boxes ``(left, top, right, bottom, ...)`` in pixels; empty:
            the rows stay as they are.

    Raises:
        ConfigError: there is no such plug-in, or it returns something else.
    """
    if not plugin:
        yield from rows
        return
    load_plugin(plugin)
    for row in rows:
        yield _without_faces(row, plugin) if row.image is not None else row


def faces_of(plugin: str, picture: "Image.Image") -> list[tuple[float, ...]]:
    """Return the boxes that a face plug-in finds in an RGB picture, each with four or five numbers.

    Raises:
        ConfigError: there is no such plug-in, or it returns something else.
    """
    import numpy as np

    returned = load_plugin(plugin)(np.asarray(picture))
    try:
        boxes = [tuple(float(value) for value in box) for box in returned]
    except (TypeError, ValueError):
        boxes = [()]
    if any(len(box) not in (4, 5) or not all(map(math.isfinite, box)) for box in boxes):
        raise ConfigError(
            f"the plug-in {plugin} returned {str(returned)[:60]}; faces are a list of "
            "(left, top, right, bottom[, is_child])"
        )
    return boxes


def blur_faces(picture: "Image.Image", boxes: Sequence[Sequence[float]]) -> "Image.Image":
    """Return an RGB picture in which nothing of the boxes can be recognised."""
    from PIL import Image, ImageFilter

    picture = picture.copy()
    for left, top, right, bottom in (box[:4] for box in boxes):
        wide, high = MARGIN * (right - left), MARGIN * (bottom - top)
        x, y = math.floor(max(0, left - wide)), math.floor(max(0, top - high))
        end_x, end_y = math.ceil(min(picture.width, right + wide)), math.ceil(min(picture.height, bottom + high))
        size = (end_x - x, end_y - y)
        if min(size) <= 0:
            continue
        coarse = picture.crop((x, y, end_x, end_y)).resize((CELLS, CELLS), Image.Resampling.BOX)
        smooth = coarse.resize(size, Image.Resampling.BILINEAR)
        picture.paste(smooth.filter(ImageFilter.GaussianBlur(max(size) / (2 * CELLS))), (x, y))
    return picture


def _without_faces(row: RawRow, plugin: str) -> RawRow:
    from pipeline.shards.picture import decode_rgb

    assert row.image is not None
    picture = decode_rgb(row.image)
    boxes = faces_of(plugin, picture)
    if not boxes:
        return row
    out = io.BytesIO()
    blur_faces(picture, boxes).save(out, "PNG")
    note = f"{len(boxes)} faces blurred"
    image = out.getvalue()
    return replace(
        row,
        image=image,
        ext="png",
        error_message=f"{row.error_message}, {note}" if row.error_message else note,
        original_sha256=row.original_sha256 or files.sha256_bytes(row.image),
    )
