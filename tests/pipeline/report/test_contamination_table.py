"""Fifty pages of real picture books that an evaluation set holds, each found, and the report's table of them."""

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from real_pictures import corpus, row

from pipeline import files
from pipeline.measure.config import EmbedConfig, MeasureConfig
from pipeline.measure.measure import embed, measure
from pipeline.report.config import ReportConfig
from pipeline.report.report import report
from pipeline.select.config import ContaminationConfig, EvaluationSet, SelectConfig
from pipeline.select.contamination import METHODS
from pipeline.select.safety_config import RealChildrenConfig, SafetyConfig
from pipeline.select.select import select
from pipeline.tables import read_columns

PLANTED, OTHERS = 50, 24
SAFETY = SafetyConfig(on_hit="off", real_children=RealChildrenConfig(policy="allow"))


def pages(corpora: Path) -> list[tuple[str, bytes]]:
    """The third page of some stories, those of other publishers last, as one publisher tells a story twice."""
    with (corpora / "picturebooks/pages.jsonl").open(encoding="utf-8") as file:
        told = [page for line in file if (page := json.loads(line))["page"] in (3, 4) and len(page["text"].split()) > 5]
    distinct = list({page["sha256"]: page for page in told}.values())
    chosen = [page for page in distinct if page["source"] == "asp"][:PLANTED]
    chosen += [page for page in distinct if page["source"] != "asp"][:OTHERS]
    assert len(chosen) == PLANTED + OTHERS
    return [(page["text"], (corpora / "picturebooks" / page["image"]).read_bytes()) for page in chosen]


def compressed(data: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").save(out, "JPEG", quality=60)
    return out.getvalue()


@pytest.fixture(scope="module")
def run(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of which fifty stand in a folder, too: as they are, encoded again, or with other words."""
    base = tmp_path_factory.mktemp("evaluated")
    run, rows = base / "run", []
    for n, (text, image) in enumerate(pages(corpora)):
        caption = text if n >= PLANTED or n % 3 == 0 else f"Somebody else tells of what is seen on page {n}."
        data = compressed(image) if n < PLANTED and n % 3 == 1 else image
        rows.append(row(caption, data, ext="jpg", group=f"{'planted' if n < PLANTED else 'own'} {n}"))
        if n < PLANTED:
            files.write_bytes(base / f"theirs/{n}.jpg", image)
            files.write_bytes(base / f"theirs/{n}.txt", text.encode())
    measure(MeasureConfig(workers=1), {"books": corpus(run, "books", rows)}, run, run)
    embed(EmbedConfig(image_size=64), run, run)
    sets = (EvaluationSet(name="their-pages", path=base / "theirs"),)
    config = SelectConfig(preset="none", safety=SAFETY, contamination=ContaminationConfig(sets=sets))
    select(config, ("books",), "efficientnet-lite0", run, run)
    files.write_bytes(run / "recipe.yaml", b"name: books\ncorpora: [{card: books}]\n")
    return run


def test_fifty_of_fifty_real_pages_are_dropped_and_no_other(run: Path) -> None:
    verdicts = read_columns(run / "selection/verdicts.parquet", ["uid", "step"])
    groups = dict(zip(*read_columns(run / "signals/samples.parquet", ["uid", "group"]).values(), strict=True))
    dropped = [groups[uid] for uid, step in zip(*verdicts.values(), strict=True) if step == "contamination"]
    assert sorted(dropped) == sorted(f"planted {n}" for n in range(PLANTED))
    (found,) = files.read_json(run / "selection/contamination.json")["sets"]
    kinds = [sum(n % 3 == kind for n in range(PLANTED)) for kind in range(3)]
    assert (found["pictures"], found["captions"], found["dropped"]) == (PLANTED, PLANTED, PLANTED)
    assert found["hits"]["bytes"] == found["hits"]["pixels"] == kinds[0] + kinds[2]
    assert found["hits"]["caption"] == kinds[0]
    assert found["hits"]["lines"] >= PLANTED - 2  # of the encoded ones, some are found by other means


def test_the_report_shows_hits_by_set_and_method(run: Path, tmp_path: Path) -> None:
    report(ReportConfig(grid=4, thumbnail=32), run, tmp_path)
    page = (tmp_path / "reports/report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="contamination">') :].partition("</section>")[0]
    (found,) = files.read_json(run / "selection/contamination.json")["sets"]
    assert sorted(found["hits"]) == sorted(METHODS)
    head = re.findall(r"<th(?: class=\"n\")?>([^<]+)</th>", section)
    assert head == ["evaluation set", "pictures", "captions", *found["hits"], "dropped"]
    cells = re.findall(r"<td class=\"n\">(?:<b>)?(\d+)", section)
    assert [int(cell) for cell in cells] == [PLANTED, PLANTED, *found["hits"].values(), PLANTED]
    assert f"<b>{PLANTED}</b> samples were dropped" in section
