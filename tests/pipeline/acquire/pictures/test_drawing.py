"""Drawings become pictures; a document that would read a file, grow without bounds or run something does not."""

import base64
import io
import time

import numpy as np
import pytest
from PIL import Image

from pipeline.acquire.pictures.drawing import MOST_BYTES, MOST_DEPTH, Drawing, draw, drawn, read_svg
from pipeline.acquire.raw import RawRow
from pipeline.parallel import Limits

SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
RED = '<rect x="10" y="10" width="30" height="20" fill="#f00"/>'
ROW = RawRow(url="test:a", caption="a")


def svg(body: str = RED, attributes: str = 'width="100" height="50"', before: str = "") -> bytes:
    return f"{before}<svg {SVG} {attributes}>{body}</svg>".encode()


def picture(data: bytes) -> Image.Image:
    found = Image.open(io.BytesIO(data))
    assert (found.format, found.mode) == ("PNG", "RGB")
    return found


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="100" height="50"', (128, 64)),
        ('width="100mm" height="50mm"', (128, 64)),
        ('width="1in" height="48pt"', (128, 86)),
        ('width="100%" height="100%" viewBox="0 0 50 100"', (64, 128)),
        ('viewBox="0 0 100 50"', (128, 64)),
        ("", (128, 96)),  # neither size nor box: what is drawn
        ('width="1000000000" height="1000000000"', (128, 128)),
    ],
)
def test_a_drawing_fits_the_square_whatever_size_it_states(attributes, size):
    assert picture(draw(svg(attributes=attributes), 128)).size == size


def test_empty_margins_are_left_out_and_the_drawing_stays_sharp():
    page = svg('<circle cx="400" cy="800" r="100" fill="#00f"/>', 'width="744" height="1052"')
    whole, trimmed = picture(draw(page, 128)), picture(draw(page, 128, trim=True))
    assert whole.size == (91, 128)
    assert all(115 <= side <= 136 for side in trimmed.size)
    colours = {tuple(colour) for colour in np.asarray(trimmed)[::8, ::8].reshape(-1, 3)}
    assert (0, 0, 255) in colours
    assert draw(svg(""), 64, trim=True) == draw(svg(""), 64)
    assert picture(draw(svg(attributes='width="50" height="40"'), 64, trim=True)).size != (64, 51)


def test_a_drawing_without_namespace_or_in_another_encoding_is_drawn():
    assert draw(b'<svg width="100" height="50"><rect width="9" height="9"/></svg>', 32)
    title = "<title>Löwe</title>" + RED
    latin = svg(title, before="<?xml version='1.0' encoding='iso-8859-1'?>").decode().encode("latin-1")
    assert draw(latin, 32) == draw(svg(title), 32)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "before",
    [
        f'<!DOCTYPE svg [<!ENTITY l0 "ha">{LAUGHS}]>',
        f'<!DOCTYPE svg [<!ENTITY big "{"a" * 10_000}">]>',
        '<!DOCTYPE svg [<!ENTITY file SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE svg [<!ENTITY % all SYSTEM "http://127.0.0.1/x.dtd"> %all;]>',
        '<!DOCTYPE svg [<!ENTITY mark "<rect/>">]>',
    ],
    ids=["billion laughs", "quadratic", "external", "parameter", "markup"],
)
def test_entities_that_grow_or_reach_outside_are_refused_at_once(before):
    started = time.monotonic()
    with pytest.raises(ValueError, match="declares the entity"):
        draw(svg("<desc>&l9;&big;&file;&mark;</desc>", before=before), 64)
    assert time.monotonic() - started < 1


def test_short_entities_of_drawing_programs_are_read():
    before = '<!DOCTYPE svg [<!ENTITY ns_svg "http://www.w3.org/2000/svg">]>'
    document = f'{before}<svg xmlns="&ns_svg;" width="100" height="50">{RED}</svg>'.encode()
    assert draw(document, 32) == draw(svg(), 32)


@pytest.mark.parametrize(
    "body",
    [
        '<image href="/etc/hostname" width="9" height="9"/>',
        "<image xlink:href='http://a.example/b.svg'/>",
        '<image href="data:image/svg+xml;base64,PHN2Zy8+"/>',
        '<use xlink:href="other.svg#a"/>',
        '<rect fill="url(http://a.example)"/>',
        "<rect style=\"fill: url( 'file:///x#a' )\"/>",
        "<style>@import 'http://a.example/a.css';</style>",
        '<filter><feImage href="file:///etc/hostname"/></filter>',
    ],
)
def test_a_drawing_never_reaches_outside_itself(body):
    with pytest.raises(ValueError, match="outside itself"):
        draw(svg(body), 32)


def test_parts_of_the_document_embedded_pictures_and_links_are_no_reach_outside():
    pixel = "data:image/png;base64," + base64.b64encode(draw(svg(), 8)).decode()
    body = (
        '<defs><linearGradient id="g"><stop stop-color="#0f0"/></linearGradient></defs>'
        f'<rect width="9" height="9" fill="url(#g)"/><image href="{pixel}" width="9" height="9" mask="url( \'#no\' )"/>'
        f'<a href="http://a.example">{RED}</a>'
    )
    assert draw(svg(body), 32) != draw(svg(""), 32)


def test_scripts_are_inert(tmp_path):
    canary = tmp_path / "canary"
    script = f"<script>require('fs').writeFileSync('{canary}', '')</script>"
    assert draw(svg(script + RED), 32) == draw(svg(RED), 32)
    assert draw(svg(RED, 'width="100" height="50" onload="alert(1)"'), 32) == draw(svg(), 32)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not well-formed"),
        (b"<svg", "not well-formed"),
        (b"<?xml version='1.0' encoding='klingon'?><svg/>", "not well-formed"),
        (svg("<g>" * (MOST_DEPTH + 1) + "</g>" * (MOST_DEPTH + 1)), "too many elements"),
        (b" " * (MOST_BYTES + 1), "bytes, more than"),
    ],
    ids=["empty", "cut", "encoding", "deep", "large"],
)
def test_what_cannot_be_parsed_says_why(data, message):
    with pytest.raises(ValueError, match=message):
        read_svg(data)


def test_rows_keep_their_order_and_their_reasons_with_one_worker_or_two(monkeypatch):
    excluded = RawRow(url="test:b", caption="b", status="excluded", reason="folder")
    found = [Drawing(ROW, svg(), 32), Drawing(excluded, b"", 32), Drawing(ROW, b"<", 32), Drawing(ROW, svg(), 64)]
    one, two = list(drawn(found, workers=1)), list(drawn(found, workers=2))
    assert one == two
    assert [(row.status, row.reason, row.width, row.height) for row in one] == [
        ("success", "", 32, 16),
        ("excluded", "folder", 0, 0),
        ("failed_to_resize", "not_drawable", 0, 0),
        ("success", "", 64, 32),
    ]


def test_a_drawing_that_never_ends_costs_its_own_row_alone(monkeypatch):
    monkeypatch.setattr("pipeline.acquire.pictures.drawing.LIMITS", Limits(seconds=1, memory=1 << 30))
    noise = '<filter id="f"><feTurbulence baseFrequency="1" numOctaves="2000000000"/></filter>'
    slow = svg(f'{noise}<rect width="100" height="100" filter="url(#f)"/>')
    rows = list(drawn([Drawing(ROW, svg(), 32), Drawing(ROW, slow, 32), Drawing(ROW, svg(), 32)], workers=1))
    assert [row.reason for row in rows] == ["", "renderer_crash", ""]


def test_parts_that_use_each_other_ten_times_over_and_over_are_refused():
    levels = [f'<g id="g{n}">{f"""<use xlink:href="#g{n - 1}"/>""" * 10}</g>' for n in range(1, 9)]
    bomb = svg(f'<defs><g id="g0"><circle r="9"/></g>{"".join(levels)}</defs><use xlink:href="#g8"/>')
    assert [row.reason for row in drawn([Drawing(ROW, bomb, 32)], workers=1)] == ["not_drawable"]
