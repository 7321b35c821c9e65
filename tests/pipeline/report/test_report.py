"""The page of a real small run: what a reader finds on it, and what can never be there."""

import base64
import io
import itertools
import json
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from run_tables import write_samples

from pipeline import files
from pipeline.errors import DataError
from pipeline.index.search import search
from pipeline.report.catalogue import evenly_spaced, read_catalogue
from pipeline.report.config import ReportConfig
from pipeline.report.duplicates import read_duplicates
from pipeline.report.neighbours import read_neighbours
from pipeline.report.report import report
from pipeline.report.scores import read_scores
from pipeline.report.selection import read_funnel
from pipeline.tables import read_columns, write_table

CONFIG = ReportConfig(grid=6, pairs=4, fits=2, neighbours=3, nearest=4, thumbnail=32)
HOSTILE = (
    "<script>alert(1)</script>",
    "{{7*7007}}",
    "</figcaption><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "$\\frac{1$",
    "\u202egnp.exe",
)


class Page(HTMLParser):
    """A parsed page: its elements with their attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = [""]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("img", "meta", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def text(self) -> str:
        return " ".join(text for tag, text in self.texts if tag != "style").replace("\u202f", "")

    def of(self, tag: str) -> list[str]:
        return [text for kind, text in self.texts if kind == tag]

    def links(self) -> Iterator[str]:
        for _, attributes in self.elements:
            for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                if name in attributes:
                    yield attributes[name]


@pytest.fixture(scope="module")
def html(run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("out")
    counts = report(CONFIG, run, out)
    data = (out / "reports/report.html").read_bytes()
    assert counts["bytes"] == len(data)
    return data.decode()


def test_every_section_is_there(html: str) -> None:
    page = Page(html)
    headings = page.of("h2")
    assert headings == [
        "Scores", "Right and wrong answers", "Training", "Stages", "Curriculum", "Controls", "Concepts", "Corpora",
        "Funnel", "Duplicates", "Contamination", "Safety and personal data", "Signals", "Fit of picture and caption",
        "Nearest neighbours", "Sources, licences, credit", "Recipe and versions",
    ]  # fmt: skip
    assert page.of("h1") == ["shapes"]
    assert "Forms & colours." in page.text()
    absent = [attributes for _, attributes in page.elements if attributes.get("class") == "absent"]
    assert len(absent) == 1 and "names no evaluation set of other people" in page.text()


def test_the_funnel_adds_up_on_the_page(html: str) -> None:
    text = Page(html).text()
    assert "160 in, 150 kept, 10 dropped" in text
    assert "weapon 4" in text
    assert "near duplicate 6" in text
    assert "exact duplicate" not in text  # nothing was dropped for it


def test_stages_show_words_and_pictures(html: str, run: Path) -> None:
    page = Page(html)
    for entry in files.read_json(run / "curriculum/summary.json")["stages"]:
        sentence = (
            f"{entry['samples']} samples of {entry['samples']} pictures, {entry['words']} words. "
            f"It brings in {entry['new_words']} new words; up to here there are {entry['vocabulary']}."
        )
        assert sentence in " ".join(page.text().replace(" ,", ",").replace(" .", ".").split())
    grids = [tag for tag, attributes in page.elements if attributes.get("class") == "tile"]
    found = read_neighbours(CONFIG, run, read_catalogue(run))
    assert found is not None
    near = sum(1 + len(item.found) for item in (*found.pictures, *found.captions))
    assert len(grids) == 3 * 6 + 2 * 3 + 2 * 4 + 2 * 4 + near  # stages, evaluation sets, pairs, ends of two corpora


def test_scores_stand_beside_their_controls(html: str, run: Path) -> None:
    text = Page(html).text()
    evaluation = files.read_json(run / "reports/evaluation.json")
    assert f"{evaluation['model']['parameters'] / 1e6:.2f} M" in text
    for row in ("trained", "re-ranked", "untrained", "shuffled", "chance"):
        assert text.count(row) >= 4
    held_out = evaluation["sets"][0]["directions"][0]
    assert f"gallery {held_out['gallery']}" in text
    chance = {row["row"]: row for row in held_out["rows"]}["chance"]["recall"]["1"]["value"]
    assert f"chance {100 * chance:.1f}" in text


def test_answers_stand_beside_the_right_one(html: str, run: Path) -> None:
    page = Page(html)
    evaluation = files.read_json(run / "reports/evaluation.json")
    asked = [example for entry in evaluation["sets"] for example in entry["examples"]]
    by_text = [example for example in asked if example["direction"] == "text_to_image"]
    assert page.of("q")[: len(by_text)] == [example["caption"] for example in by_text]
    alternatives = [attributes["alt"] for tag, attributes in page.elements if tag == "img"]
    for example in by_text:
        assert f"right answer: {example['caption']}" in alternatives
    late = [example for example in asked if not any(result["correct"] for result in example["results"])]
    assert late
    for example in late:
        assert f"right one at rank {example['rank']}" in page.text()


def test_pictures_say_what_they_show(html: str) -> None:
    """Each picture has its caption below it or as its alternative."""
    for place, (tag, attributes) in enumerate(elements := Page(html).elements):
        if tag == "img" and not attributes["alt"]:
            assert "figcaption" in [following for following, _ in elements[place + 1 : place + 3]]


def test_neighbours_are_those_of_the_search(html: str, run: Path) -> None:
    found = read_neighbours(CONFIG, run, read_catalogue(run))
    assert found is not None and found.samples == 160
    assert len(found.pictures) == len(found.captions) == 3
    unsafe = {f"black arc{place}" for place in ("", " here", " up high", " far down below")}
    for item in (*found.pictures, *found.captions):
        assert item.asked.caption not in {tile.caption for tile in item.found}
        assert not unsafe & {item.asked.caption, *(tile.caption for tile in item.found)}
        scores = [float(tile.note) for tile in item.found]
        assert scores == sorted(scores, reverse=True)
    for item in found.pictures:
        hits = search(run, uid=item.asked.uid, k=CONFIG.nearest)
        assert [tile.uid for tile in item.found] == [hit.uid for hit in hits if hit.caption not in unsafe]
    assert len({item.asked.uid for item in (*found.pictures, *found.captions)}) == 6


def test_an_index_of_other_data_is_refused(run: Path, tmp_path: Path) -> None:
    bad = shutil.copytree(run, tmp_path / "run")
    with (bad / "index/samples.parquet").open("ab") as file:
        file.write(b"0")
    with pytest.raises(DataError, match="index"):
        report(CONFIG, bad, tmp_path)


def test_nothing_is_asked_of_the_network_and_nothing_runs(html: str) -> None:
    page = Page(html)
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in page.links())
    assert "url(" not in html.replace("url(#", "")
    assert "@import" not in html
    assert_inert(page)
    policy = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_pictures_are_small_jpegs(html: str) -> None:
    sources = [attributes["src"] for tag, attributes in Page(html).elements if tag == "img"]
    assert len(sources) > 30
    for source in sources:
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])), formats=["JPEG"]) as image:
            assert image.size == (32, 32)


def test_the_same_run_elsewhere_gives_the_same_bytes(html: str, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "elsewhere")
    report(CONFIG, tmp_path / "elsewhere", tmp_path / "out")
    assert (tmp_path / "out/reports/report.html").read_text() == html
    assert str(tmp_path) not in html and str(run) not in html


def test_hostile_words_are_inert(run: Path, tmp_path: Path) -> None:
    from pipeline.curriculum.config import CurriculumConfig
    from pipeline.curriculum.order import order
    from pipeline.shards.config import StageConfig
    from pipeline.shards.stage import stage

    bad = tmp_path / "run"
    shutil.copytree(run, bad, ignore=shutil.ignore_patterns("stages", "curriculum", "index"))
    table = read_columns(run / "signals/samples.parquet")
    for name in ("caption", "attribution", "corpus", "licence"):
        table[name] = [HOSTILE[number % len(HOSTILE)] for number in range(len(table["uid"]))]
    write_samples(bad, table)
    order(CurriculumConfig(stages=("one",)), bad, bad)
    stage(StageConfig(image_size=32), bad, bad, workers=1)
    evaluation = files.read_json(run / "reports/evaluation.json")
    evaluation["stages"] = files.read_json(bad / "stages/manifest.json")["sha256"]
    for entry in evaluation["sets"]:
        for example in entry["examples"]:
            for item in (example, example["answer"], *example["results"]):
                item.update({"caption": HOSTILE[0]} if "caption" in item else {})
    files.write_json(bad / "reports/evaluation.json", evaluation)
    (bad / "recipe.yaml").write_text(json.dumps({"name": HOSTILE[0], "description": HOSTILE[1]}))

    report(ReportConfig(grid=24, thumbnail=32), bad, tmp_path)
    page = Page((tmp_path / "reports/report.html").read_text())
    assert_inert(page)
    assert page.of("h1") == [HOSTILE[0]]
    assert set(HOSTILE) <= set(page.of("figcaption"))
    assert HOSTILE[0] in page.of("q") and HOSTILE[0] in page.of("span")
    assert "49049" not in page.of("figcaption")


def assert_inert(page: Page) -> None:
    assert not {tag for tag, _ in page.elements} & {"script", "iframe", "object", "embed", "link", "base", "form"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert not [attributes for tag, attributes in page.elements if tag == "img" and "base64" not in attributes["src"]]


def test_a_run_without_a_model_still_has_a_report(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("models", "reports"))
    report(CONFIG, tmp_path / "run", tmp_path)
    text = Page((tmp_path / "reports/report.html").read_text()).text()
    assert "No model was trained in this run." in text
    assert "No model was evaluated in this run." in text
    assert text.index("Funnel Every sample") < text.index("No model was evaluated")  # what there is comes first
    assert "160 in, 150 kept" in text


def test_a_run_that_has_only_begun_still_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: empty\n")
    assert report(CONFIG, tmp_path, tmp_path)["pictures"] == 0
    text = Page((tmp_path / "reports/report.html").read_text()).text()
    for part in (
        "stages have been written",
        "Nothing has been selected",
        "acquired",
        "measured",
        "pair has been scored",
    ):
        assert part in text
    assert "This run names no evaluation set of other people" in text


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no recipe\.yaml"):
        report(CONFIG, tmp_path, tmp_path)


@pytest.mark.parametrize(
    "steps",
    [
        [{"step": "a", "in": 5, "kept": 3, "dropped": {"x": 1}}],
        [{"step": "a", "in": 5, "kept": 5, "dropped": {}}, {"step": "b", "in": 4, "kept": 4, "dropped": {}}],
    ],
)
def test_a_funnel_that_does_not_add_up_is_refused(steps: list[dict[str, Any]], tmp_path: Path) -> None:
    files.write_json(tmp_path / "selection/funnel.json", {"steps": steps})
    with pytest.raises(DataError, match="do not add up"):
        read_funnel(tmp_path)


def test_duplicates_are_shown_with_what_was_kept(run: Path) -> None:
    found = read_duplicates(CONFIG, read_catalogue(run))
    assert found is not None
    kind = found.kinds[0]
    assert (found.samples, found.pictures, kind.reason, kind.total) == (6, 6, "near_duplicate", 6)
    assert [pair.score for pair in kind.pairs] == [0.99, 0.99, 0.98, 0.97]
    assert (found.clusters, found.sizes) == ([], {1: 6})
    for pair in kind.pairs:
        assert pair.dropped.caption.split()[:2] == pair.kept.caption.split()[:2]
        assert pair.dropped.picture != pair.kept.picture


def test_no_picture_dropped_for_safety_is_ever_shown(run: Path, tmp_path: Path) -> None:
    """A duplicate of an unsafe picture, and an unsafe picture under another caption, stay off the page."""
    bad = tmp_path / "run"
    shutil.copytree(run, bad)
    samples = read_columns(run / "signals/samples.parquet")
    row_of = {caption: row for row, caption in enumerate(samples["caption"])}
    verdicts = read_columns(run / "selection/verdicts.parquet")
    for caption, partner in (("pink arc", "black arc"), ("pink line", "pink line here")):
        verdict = verdicts["uid"].index(samples["uid"][row_of[caption]])
        verdicts["kept"][verdict], verdicts["step"][verdict] = False, "duplicates"
        verdicts["reason"][verdict], verdicts["partner"][verdict] = "near_duplicate", samples["uid"][row_of[partner]]
    unsafe = samples["image_sha256"][row_of["black arc"]]
    samples["image_sha256"][row_of["pink line"]] = unsafe  # the same picture, dropped under another caption
    write_table(bad / "selection/verdicts.parquet", verdicts)
    write_table(bad / "signals/samples.parquet", samples)
    found = read_duplicates(ReportConfig(pairs=200, thumbnail=32), read_catalogue(bad))
    assert found is not None
    assert (found.samples, found.kinds[0].total) == (8, 6)
    assert not {pair.dropped.caption for pair in found.kinds[0].pairs} & {"pink arc", "pink line"}


def test_scores_of_other_stages_are_refused(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    evaluation = files.read_json(run / "reports/evaluation.json")
    files.write_json(tmp_path / "run/reports/evaluation.json", {**evaluation, "stages": "0" * 64})
    with pytest.raises(DataError, match="about other stages"):
        report(CONFIG, tmp_path / "run", tmp_path)


def test_scores_of_another_version_are_refused(run: Path, tmp_path: Path) -> None:
    evaluation = files.read_json(run / "reports/evaluation.json")
    del evaluation["sets"][0]["examples"][0]["answer"]
    files.write_json(tmp_path / "reports/evaluation.json", evaluation)
    with pytest.raises(DataError, match=r"evaluation\.json is of another version; evaluate again"):
        read_scores(CONFIG, tmp_path, None)


def test_damaged_metrics_are_named(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    with (tmp_path / "run/models/tiny/metrics.jsonl").open("a") as file:
        file.write("{")
    with pytest.raises(DataError, match=r"metrics\.jsonl: line 11 is not JSON"):
        report(CONFIG, tmp_path / "run", tmp_path)


@pytest.mark.parametrize(("count", "wanted"), [(0, 3), (1, 3), (3, 3), (10, 1), (10, 4), (1_000, 36)])
def test_positions_are_evenly_spaced(count: int, wanted: int) -> None:
    places = evenly_spaced(range(count), wanted)
    assert len(places) == len(set(places)) == min(count, wanted)
    assert places == sorted(places)
    if len(places) > 1:
        gaps = {b - a for a, b in itertools.pairwise(places)}
        assert (places[0], places[-1]) == (0, count - 1)
        assert max(gaps) - min(gaps) <= 1
