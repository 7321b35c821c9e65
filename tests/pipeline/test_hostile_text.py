"""Text of strangers stays text: in raw shards, tables, the data card, the credits, the report and on the terminal."""

import csv
import io
import itertools
import json
import shutil
import tarfile
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt

from flows.cli import main
from pipeline.acquire.admission import settled
from pipeline.acquire.raw import RawRow, raw_tables, read_raw, write_raw
from pipeline.acquire.text import judge_caption
from pipeline.cards.attribution import ACTIVE
from pipeline.cards.config import CardConfig
from pipeline.cards.datacard import write_cards
from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.order import order
from pipeline.report.config import ReportConfig
from pipeline.report.report import environment, report
from pipeline.sample import INVISIBLE, normalise_caption
from pipeline.shards.config import StageConfig
from pipeline.shards.stage import stage
from pipeline.tables import read_columns

HOSTILE = (
    "<script>alert(1)</script>",
    "</figcaption><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "{{7*7007}}{% for x in y %}",
    "---\nlicense: cc0-1.0\nextra: true\n---\n",
    '=HYPERLINK("http://evil.example","a ball")',
    "@SUM(1+1)|cmd",
    "+1-1",
    "../../../etc/passwd",
    "/etc/passwd\x00.jpg",
    "\x1b[2J\x1b]0;owned\x07 red \x9b31m",
    "a\u202egnp.exe\u2066",
    "| a | b |\n| - | - |\n[click](javascript:alert(1)) ![x](http://evil.example/x.png) `code`",
    "lone \ud800 half",
    "!!python/object/apply:os.system ['true']",
)
ALPHABETS = (
    "abc ABC .,'\"<>&{}|",
    "\x00\x01\x07\x1b\x7f\x80\x9b",
    "\ud800\udbff\udc00\udfff",
    "\u202a\u202b\u202d\u202e\u202c\u2066\u2067\u2069\u200e\u200f\u061c",
    "\t\n\r\v\f\x1c\x85\u2028\u2029\u00a0\u3000",
    "\u0301\u0308\u0327\u20dd\u0e49\u05b7\u0651",
    "שלום سلام",
    "👩\u200d👩\u200d👧\U0001f3fd❤\ufe0f🏴\U000e0067\U000e007f",
    "क्\u200dषمی\u200cخ",
    "\ufeff\u200b\ufffe\U0010ffff\ue000",
    "éÅﬁｱ한글ßİ",
)


def generated(number: int) -> list[str]:
    """Texts that mix letters with all that makes trouble."""
    rng = np.random.default_rng(46)
    texts = []
    for _ in range(number):
        chosen = rng.choice(len(ALPHABETS), size=rng.integers(1, 5))
        letters = "".join(ALPHABETS[place] for place in (0, *chosen))
        texts.append("x" + "".join(letters[place] for place in rng.integers(0, len(letters), rng.integers(1, 40))))
    return texts


class Page(HTMLParser):
    """The elements of a page with the names of their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_two_thousand_texts_survive_tar_json_parquet_and_html(tmp_path):
    texts = generated(2_000)
    write_raw([RawRow(url=f"t:{n}", caption=text, image=b"x", ext="png") for n, text in enumerate(texts)], tmp_path)
    expected = [normalise_caption(text) for text in texts]
    assert all(unicodedata.is_normalized("NFC", text) and not INVISIBLE.search(text) for text in expected)
    (table,) = raw_tables(tmp_path)
    with tarfile.open(table.with_suffix(".tar")) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    keys = [f"00000{number:04d}" for number in range(2_000)]
    assert [members[f"{key}.txt"].decode() for key in keys] == expected
    assert [json.loads(members[f"{key}.json"])["caption"] for key in keys] == expected
    assert read_columns(table)["caption"] == expected
    template = environment().from_string("<ul>{% for text in texts %}<li>{{ text }}</li>{% endfor %}</ul>")
    page = Page(template.render(texts=expected).encode().decode())
    assert [tag for tag, _ in page.elements] == ["ul", *["li"] * 2_000]
    assert "".join(page.texts) == "".join(expected)


def test_joiners_of_emoji_and_letters_stay():
    for text in ("👩\u200d👩\u200d👧", "می\u200cخواهم", "क्\u200dष", "🏴\U000e0067\U000e0062\U000e007f"):
        assert normalise_caption(text) == text


def test_raw_shards_hold_hostile_text_as_text_and_never_as_a_path(tmp_path):
    rows = [
        RawRow(url=text, caption=text, group=text, category=text, lang=text, licence=text, attribution=text,
               error_message=text, image=b"x", ext="png")
        for text in HOSTILE
    ]  # fmt: skip
    write_raw(settled(rows), tmp_path / "raw")
    assert sorted(file.name for file in (tmp_path / "raw").iterdir()) == [
        "00000.parquet",
        "00000.tar",
        "00000_stats.json",
    ]
    with tarfile.open(tmp_path / "raw/00000.tar") as tar:
        assert all(name.removesuffix(name[-4:]).rstrip(".").isdigit() for name in tar.getnames())
    for (record, _), text in zip(read_raw(tmp_path / "raw"), HOSTILE, strict=True):
        assert record["caption"] == normalise_caption(judge_caption(text).text)
        values = [value for value in record.values() if isinstance(value, str)]
        assert not any(INVISIBLE.search(value) or "\n" in value or "\r" in value for value in values)


@pytest.fixture(scope="module")
def runs(
    new_run: Callable[[Path], Path], small_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The small run as it is, and one with hostile text wherever its samples carry text, staged by the real steps."""
    folder = tmp_path_factory.mktemp("runs")
    tame, wild = Path(shutil.copytree(small_run, folder / "tame")), folder / "wild"
    ordinary = new_run.__globals__["raw_rows"]

    def hostile() -> dict[str, list[RawRow]]:
        texts = itertools.cycle(HOSTILE)
        return {corpus: [_with(row, next(texts)) for row in rows] for corpus, rows in ordinary().items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(new_run.__globals__, "raw_rows", hostile)
        new_run(wild)
    order(CurriculumConfig(stages=("one", "two", "three")), wild, wild)
    stage(StageConfig(image_size=32), wild, wild, workers=1)
    for run, name in ((tame, "a run"), (wild, HOSTILE[0])):
        (run / "recipe.yaml").write_text(json.dumps({"name": name}))
    return tame, wild


def _with(row: RawRow, text: str) -> RawRow:
    fields = dict.fromkeys(("attribution", "category"), text)
    return replace(row, caption=f"{row.caption} {text}", group=f"{text} {row.group}", url=f"{text} {row.url}", **fields)


def test_the_report_has_the_same_elements_whatever_the_captions_say(runs, tmp_path):
    pages = []
    for run in runs:
        report(ReportConfig(grid=24, thumbnail=32), run, run)
        pages.append(Page((run / "reports/report.html").read_text()))
    tame, wild = (set(page.elements) for page in pages)
    assert wild - tame <= {("details", ()), ("summary", ()), ("ul", ()), ("li", ("dir",))}  # more credits are folded
    assert not any(name.startswith("on") for _, names in wild for name in names)
    assert "49049" not in {text.strip() for text in pages[1].texts}
    shown = " ".join(pages[1].texts)
    assert HOSTILE[0] in shown
    assert HOSTILE[3] in shown


def test_the_card_has_the_same_keys_and_nothing_active(runs):
    fronts, bodies = [], []
    for run in runs:
        write_cards(CardConfig(name=HOSTILE[0], description=HOSTILE[4]), run, run)
        _, front, body = (run / "card/README.md").read_text().split("---\n", 2)
        fronts.append(yaml.safe_load(front))
        bodies.append(body)
    assert list(fronts[0]) == list(fronts[1])
    for body in bodies:
        tokens = [
            child
            for token in MarkdownIt("commonmark").enable("table").parse(body)
            for child in (token, *(token.children or ()))
        ]
        assert not [token for token in tokens if token.type in ("html_block", "html_inline", "image")]
        assert not [token for token in tokens if token.type == "link_open" and "evil" in str(token.attrs)]
        assert "javascript:" not in str([token.attrs for token in tokens])


def test_no_cell_of_the_credits_is_a_formula(runs):
    _, wild = runs
    write_cards(CardConfig(), wild, wild)
    rows = list(csv.DictReader(io.StringIO((wild / "card/ATTRIBUTION.csv").read_text(), newline="")))
    assert len(rows) == 160
    assert not [cell for row in rows for cell in row.values() if cell.lstrip().startswith(ACTIVE)]
    assert {row["attribution"].removeprefix("'") for row in rows} >= {HOSTILE[0], HOSTILE[5], HOSTILE[8]}


def test_an_error_that_quotes_data_is_one_plain_line_on_the_terminal(tmp_path, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "metadata.csv").write_text("file_nam\x1b[2J\u202e,caption\na.jpg,a ball\n")
    (tmp_path / "mine.md").write_text(
        "---\nname: mine\ntitle: Mine\nlicence: CC0-1.0\nattribution: Me\nlanguage: en\nchild_directed: false\n"
        "redistributable: true\nsource: {engine: folder, path: pictures}\n---\nMine.\n"
    )
    (tmp_path / "recipe.yaml").write_text("name: mine\ncorpora: [{card: mine.md}]\n")
    code = main_code(["acquire", str(tmp_path / "recipe.yaml"), "--run", str(tmp_path / "run")])
    printed = capsys.readouterr().err
    assert code == 2
    assert "file_nam" in printed
    assert not INVISIBLE.search(printed)


def main_code(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)
