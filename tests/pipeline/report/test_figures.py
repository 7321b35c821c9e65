import re
import xml.etree.ElementTree as ET

from pipeline.report import figures
from pipeline.report.figures import Curve, Dot, Panel
from pipeline.report.order_figures import difficulty_histogram


def loss_curve(name: str = "curve", label: str = "text and picture") -> str:
    lines = [Curve(name=label, steps=[1, 2, 3], values=[3.0, 2.0, 1.5]), Curve(name="b", steps=[1, 3], values=[1, 2])]
    return figures.svg(name, "Losses", (350, 260), figures.curves(lines, [(2, "stage 2")], 2))


def texts(svg: str) -> list[str]:
    root = ET.fromstring(svg.replace("xlink:href", "href"))  # noqa: S314 (our own text)
    return [element.text or "" for element in root.iter("text")]


def test_the_same_values_give_the_same_bytes_and_say_nothing_of_when() -> None:
    first, second = loss_curve(), loss_curve()
    assert first == second
    assert not re.search(r"date|matplotlib|20\d\d-", first, re.IGNORECASE)


def test_identifiers_of_two_figures_on_a_page_differ() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', loss_curve(name))) for name in ("a", "b")]
    assert ids[0] and not ids[0] & ids[1]


def test_colours_and_typeface_are_the_page_s() -> None:
    svg = loss_curve()
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    assert "DejaVu" not in svg
    assert {"var(--series-1)", "var(--series-2)", "var(--muted)", "var(--line)", "var(--sans)"} <= set(
        re.findall(r"var\([^)]+\)", svg)
    )
    assert "<style" not in svg


def test_text_stays_text_whatever_it_is() -> None:
    found = texts(loss_curve(label="$\\frac{1$ <b>"))
    assert {"$\\frac{1$ <b>", "stage 2", "training step"} <= set(found)


def test_the_title_says_what_is_to_be_seen() -> None:
    svg = figures.svg("x", "Difficulty <1>", (300, 150), difficulty_histogram([1.0, 1.0, 1.0], (1.0, 1.0), 1))
    assert svg.startswith('<svg role="img" ')
    assert "<title>Difficulty &lt;1&gt;</title>" in svg


def test_one_panel_a_comparison_even_without_intervals() -> None:
    rows = [("trained", Dot(value=20, low=15, high=25), Dot(value=50, low=45, high=55))]
    rows.append(("chance", Dot(value=1, low=None, high=None), Dot(value=10, low=None, high=None)))
    panels = [Panel(title=f"set {number}", rows=rows) for number in range(3)]
    found = texts(figures.svg("dots", "Scores", (600, 300), figures.dots(panels, 2)))
    assert {"set 0", "set 1", "set 2", "trained", "chance"} <= set(found)
