"""Drawings in SVG, made into pictures: PNG in RGB, on white.

A document is data. It is parsed with the ways to blow it up closed (entities, depth, number of elements), refused if
it refers to anything outside itself, and drawn in another process that has a deadline and a memory limit. Scripts have
no meaning to the renderer. Fonts of this machine are not used, so text that is not outlines is not drawn: the same
document gives the same bytes everywhere.
"""

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.parsers import expat

from pipeline.acquire.raw import RawRow
from pipeline.parallel import Limits, ordered_map

if TYPE_CHECKING:
    from PIL import Image

LIMITS = Limits(seconds=60, memory=1 << 30)
MOST_BYTES = 16 << 20
MOST_ELEMENTS = 200_000
MOST_DEPTH = 256
LONGEST_ENTITY = 200  # drawing programs abbreviate namespaces in this way
DOTS_PER_INCH = 96  # of CSS
EMBEDDED = re.compile(r"\s*data:(image/(png|jpe?g|gif|webp))?;base64,", re.I)
OUTSIDE = re.compile(r"""url\(\s*["']?\s*(?!["'#\s])|@import""", re.I)
FULL = 0.9  # of the longer side; a drawing that fills more is not trimmed
FINEST = 8  # times the size, for a drawing that is small on its page


@dataclass(frozen=True, slots=True)
class Drawing:
    """A row that is to be drawn; one that has a reason already is passed on as it is.

    Attributes:
        svg: the document.
        size: side in pixels of the square that the picture fits into.
        trim: leave out the empty margins of the page.
    """

    row: RawRow
    svg: bytes
    size: int
    trim: bool = False


def drawn(drawings: Iterable[Drawing], *, workers: int) -> Iterator[RawRow]:
    """Yield each row, in order, with its picture, or with ``not_drawable`` or ``renderer_crash`` as the reason."""
    yield from ordered_map(_draw_row, drawings, workers=workers, crashed=_crashed, limits=LIMITS)


def draw(svg: bytes, size: int, *, trim: bool = False) -> bytes:
    """Render an SVG document, its aspect ratio kept, as a PNG that fits into a square of `size` pixels.

    Raises:
        ValueError: it is not valid, too large, or refers to something outside itself.
    """
    root = read_svg(svg)
    _refuse_references(root)
    text = ElementTree.tostring(root, encoding="unicode")
    picture = _trimmed(text, size) if trim else _render(text, size)
    out = io.BytesIO()
    picture.save(out, format="PNG", compress_level=6)
    return out.getvalue()


def read_svg(data: bytes) -> ElementTree.Element:
    """Parse a document that nobody vouches for.

    Entities may be declared if they are short and plain text, as drawing programs do for their namespaces; every other
    kind is refused, so nothing outside is read and nothing grows without bounds.

    Raises:
        ValueError: it is not well-formed, too large, too deep, or declares such an entity.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"it has {len(data):,} bytes, more than {MOST_BYTES:,}")
    guard = _Guard()
    try:
        guard.parser.Parse(data, True)
        return ElementTree.fromstring(data)  # noqa: S314 - what it warns of has been refused by now
    except (expat.ExpatError, ElementTree.ParseError, LookupError, UnicodeError) as error:
        raise ValueError(f"it is not well-formed: {error}") from None


class _Guard:
    """A parser that keeps nothing and raises ValueError over what could blow up the next one."""

    def __init__(self) -> None:
        self.depth = self.elements = 0
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._entity

    def _start(self, *_: object) -> None:
        self.depth += 1
        self.elements += 1
        if self.depth > MOST_DEPTH or self.elements > MOST_ELEMENTS:
            raise ValueError("it has too many elements, or too many inside each other")

    def _end(self, *_: object) -> None:
        self.depth -= 1

    def _entity(self, name: str, is_parameter: bool, value: str | None, *_: object) -> None:
        if is_parameter or value is None or len(value) > LONGEST_ENTITY or {"&", "<", "%"} & set(value):
            raise ValueError(f"it declares the entity {name[:40]}, which is more than a short text")


def _refuse_references(root: ElementTree.Element) -> None:
    """Raise where an element would load something: only parts of the document and embedded pictures may be named."""
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        if tag == "style" and OUTSIDE.search(element.text or ""):
            raise ValueError("it refers to something outside itself")
        for name, value in element.attrib.items():
            link = name.rpartition("}")[2] == "href" and tag != "a"
            inside = value.lstrip().startswith("#") or not value.strip() or EMBEDDED.match(value)
            if (link and not inside) or OUTSIDE.search(value):
                raise ValueError("it refers to something outside itself")


def _render(text: str, size: int) -> "Image.Image":
    import resvg_py
    from PIL import Image

    drawing = resvg_py.svg_to_bytes(
        svg_string=text, background="white", skip_system_fonts=True, width=size, height=size, dpi=DOTS_PER_INCH
    )
    return Image.open(io.BytesIO(bytes(drawing)), formats=("PNG",)).convert("RGB")


def _trimmed(text: str, size: int) -> "Image.Image":
    """Return the drawing without the empty margins of its page; drawn anew where these are wide, so it stays sharp."""
    picture = _render(text, size)
    box = _box(picture)
    share = max(box[2] - box[0], box[3] - box[1]) / size
    if not 0 < share < FULL:
        return picture
    fine = _render(text, min(round(size / share), FINEST * size))
    left, top, right, bottom = _box(fine)
    margin = size // 50
    return fine.crop(
        (
            max(0, left - margin),
            max(0, top - margin),
            min(fine.width, right + margin),
            min(fine.height, bottom + margin),
        )
    )


def _box(picture: "Image.Image") -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what is not white, in pixels; all 0 for a blank picture."""
    from PIL import ImageChops, ImageOps

    return ImageChops.invert(ImageOps.grayscale(picture)).getbbox() or (0, 0, 0, 0)


def _draw_row(drawing: Drawing) -> RawRow:
    """Return the row with its picture, or with the reason why there is none."""
    from PIL import Image

    if drawing.row.reason:
        return drawing.row
    try:
        image = draw(drawing.svg, drawing.size, trim=drawing.trim)
    except ValueError as error:
        message = " ".join(str(error).split())[:300]
        return replace(drawing.row, status="failed_to_resize", reason="not_drawable", error_message=message)
    width, height = Image.open(io.BytesIO(image)).size
    return replace(
        drawing.row, image=image, ext="png", width=width, height=height, original_width=width, original_height=height
    )


def _crashed(drawing: Drawing) -> RawRow:
    message = f"the renderer died, or took more than {LIMITS.seconds:.0f} seconds"
    return replace(drawing.row, status="failed_to_resize", reason="renderer_crash", error_message=message)
