"""The report as people see it: in a browser, on a screen and on a telephone, by day and by night, and on paper."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browser

from pipeline.report.config import ReportConfig
from pipeline.report.report import report

PICTURE = 8_000  # bytes of a picture on the page at the most, in base64
REST = 3_000_000  # bytes of everything else
# Every piece of text with its colour and what lies behind it; what is folded away or behind a window is not seen.
TEXTS = """
(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const worst = {};
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || !node.checkVisibility()) continue;
    const style = getComputedStyle(node);
    const colour = rgb(node.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [low, high] = [light(colour), light(behind(node))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    const name = node.tagName + "." + node.className;
    if (!(name in worst) || ratio < worst[name]) worst[name] = ratio;
  }
  return JSON.stringify(worst);
})()
"""
UNNAMED = """
JSON.stringify([...document.querySelectorAll("img:not([alt]), button, summary, a, svg[role=img]")]
  .filter(node => node.tagName === "IMG" || !(node.ariaLabel || node.textContent).trim())
  .map(node => node.outerHTML.slice(0, 200)))
"""
FOLDED = """
(() => {
  const pictures = [...document.querySelectorAll(".fold img")];
  return [pictures.filter(picture => picture.checkVisibility()).length, pictures.length];
})()
"""


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("seen")
    report(ReportConfig(grid=12), run, out)
    return out / "reports/report.html"


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as found:
        yield found


def test_the_page_is_as_small_as_its_pictures_allow(page: Path) -> None:
    text = page.read_text()
    assert len(text) < REST + PICTURE * text.count("<img ")
    assert max(len(part.partition('"')[0]) for part in text.split('src="')[1:]) < PICTURE


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_asks_for_nothing_and_fits_and_can_be_read(tab: Browser, page: Path, width: int, dark: bool) -> None:
    tab.open(page, width=width, dark=dark)
    assert [address for address in tab.asked() if not address.startswith("data:")] == [page.as_uri()]
    assert tab.complaints() == []
    assert tab.value("document.documentElement.scrollWidth") <= width
    pictures = tab.value("document.images.length")
    assert pictures > 30
    assert tab.value("[...document.images].filter(image => image.complete && image.naturalWidth).length") == pictures
    ground = tab.value("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(21, 23, 27)") == dark
    faint = {name: ratio for name, ratio in json.loads(tab.value(TEXTS)).items() if ratio < 4.5}
    assert faint == {}  # the contrast that WCAG asks of text


def test_everything_has_a_name_and_every_link_a_target(tab: Browser, page: Path) -> None:
    tab.open(page, width=1280, dark=False)
    assert json.loads(tab.value(UNNAMED)) == []
    links = tab.value("JSON.stringify([...document.querySelectorAll('a')].map(a => a.getAttribute('href').slice(1)))")
    for target in json.loads(links):
        assert tab.value(f"document.querySelectorAll('[id={json.dumps(target)}]').length") == 1, target


def test_a_picture_can_be_asked_by_keyboard_why_it_stands_there(tab: Browser, page: Path) -> None:
    tab.open(page, width=1280, dark=False)
    seen = "document.querySelectorAll(':popover-open').length"
    tab.value("document.querySelector('.tile button').focus()")
    for key, code, opened in (("Enter", 13, 1), ("Escape", 27, 0)):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)
        assert tab.value(seen) == opened


def test_pictures_are_folded_away_on_a_telephone_and_never_on_paper(tab: Browser, page: Path) -> None:
    tab.open(page, width=1280, dark=False)
    shown, pictures = tab.value(FOLDED)
    assert shown == pictures > 30
    tab.open(page, width=400, dark=False)
    assert tab.value(FOLDED) == [0, pictures]
    tab.value("document.querySelector('.fold > summary').click()")
    assert 0 < tab.value(FOLDED)[0] < pictures
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.value(FOLDED) == [pictures, pictures]
    tab.call("Emulation.setEmulatedMedia", media="")


def test_it_prints_whole(tab: Browser, page: Path) -> None:
    tab.open(page, width=1280, dark=True)
    pages = base64.b64decode(tab.call("Page.printToPDF", printBackground=False)["data"])
    assert pages.startswith(b"%PDF") and pages.count(b"/Type /Page\n") + pages.count(b"/Type /Page ") > 3
