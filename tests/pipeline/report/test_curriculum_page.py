"""What the page says of the curriculum: its numbers are those of the order, and its words are inert."""

import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import files
from pipeline.curriculum.config import CurriculumConfig, VocabularyConfig
from pipeline.curriculum.controls import NAMES
from pipeline.curriculum.explain import explain
from pipeline.curriculum.order import order
from pipeline.report.concepts import read_concepts
from pipeline.report.config import ReportConfig
from pipeline.report.controls import read_controls
from pipeline.report.curriculum import read_curriculum, read_explanations
from pipeline.report.report import report
from pipeline.report.stages import stage_sections
from pipeline.shards.config import StageConfig
from pipeline.shards.read import open_stages
from pipeline.shards.stage import stage
from pipeline.tables import read_columns, write_table
from pipeline.workspace import Step, Workspace

CONFIG = ReportConfig(grid=5, thumbnail=32)
NAMED = ("one", "two", "three")


def ordered(run: Path, **changes: Any) -> Path:
    """Order a run again, as its step, and stage it."""
    config = CurriculumConfig(**{"stages": NAMED, **changes})
    if not (run / "steps/order.json").is_file():
        shutil.rmtree(run / "curriculum", ignore_errors=True)
    Workspace(run).run(
        Step(
            name="order",
            function=lambda out: order(config, run, out),
            outputs=("curriculum",),
            params=config.model_dump(mode="json"),
        )
    )
    shutil.rmtree(run / "stages", ignore_errors=True)
    stage(StageConfig(image_size=32), run, run, workers=1)
    return run


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    """A copy of the small run, to be ordered in other ways."""
    return copied(small_run, tmp_path)


def copied(small_run: Path, folder: Path) -> Path:
    run = shutil.copytree(small_run, folder / "run")
    (run / "recipe.yaml").write_text("name: shapes\n")
    return run


@pytest.fixture(scope="module")
def replayed(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which every other sample comes again, with a budget of 1,000 words."""
    run = ordered(copied(small_run, tmp_path_factory.mktemp("replayed")), replay=0.5, word_budget=1_000)
    report(CONFIG, run, run)
    return run


def written(run: Path) -> str:
    report(CONFIG, run, run)
    return page_of(run)


def page_of(run: Path) -> str:
    return (run / "reports/report.html").read_text(encoding="utf-8")


def section(page: str, name: str) -> str:
    """The words of a section, elements taken out."""
    part = page[page.index(f'<section id="{name}">') :].partition("</section>")[0]
    return plain(part)


def plain(part: str) -> str:
    text = unescape(re.sub(r"<[^>]+>", " ", re.sub(r"</?(?:b|wbr)>", "", part)))
    return " ".join(text.replace("\u202f", "").split())


def test_every_stage_declares_its_exposure(replayed: Path) -> None:
    page = page_of(replayed)
    exposure = files.read_json(replayed / "curriculum/summary.json")["exposure"]
    for entry in exposure["stages"]:
        part = page[page.index(f'id="stage-{entry["stage"]}"') :].partition("</article>")[0]
        again = ", 50.0 % of the samples from the stages before" if entry["stage"] > 1 else ""
        told = f"One pass shows {entry['pass_samples']} samples with {entry['pass_words']} words{again}."
        own = f"Its own words are {100 * entry['words'] / exposure['words']:.1f} % of all, "
        assert f"{told} {own}and {entry['words'] / 10:.1f} % of the budget." in plain(part)
    text = section(page, "curriculum")
    assert "50.0 % of what it shows comes again from the stages before" in text
    assert f"take {exposure['words'] / 10:.1f} % of the budget of 1000 words" in text


def test_every_picture_of_a_stage_says_why_it_stands_there(replayed: Path) -> None:
    run, page = replayed, page_of(replayed)
    opened = re.findall(r'<button type="button" popovertarget="why-(\w+)" aria-label', page)
    there = re.findall(r'id="why-(\w+)" popover', page)
    assert opened == there and len(set(there)) == 15
    assert "caption.<wbr>parse_<wbr>depth" in page
    order_of = dict(zip(*read_columns(run / "curriculum/order.parquet", ["uid", "rank"]).values(), strict=True))
    for uid in (there[0], there[7], there[-1]):
        found = explain(run, uid)
        text = plain(page[page.index(f'id="why-{uid}"') :].partition("</div>")[0])
        assert found.rank == order_of[uid]
        assert f"Place {found.rank + 1} of {found.samples}; in stage {found.stage}" in text
        assert found.cut in text and found.caption in text
        for part in found.components:
            value = "missing" if part.value is None else f"{part.value:.4g}"
            assert f"{part.column} {value} {abs(part.weight):.2f} {abs(part.weight) * part.rank:.3f}" in text
        for near in (*found.before, *found.after):
            assert f"{near.rank + 1} {near.difficulty:.3f} {near.caption}" in text
        assert f"essen order recipe.yaml --explain {uid}" in text


@pytest.mark.parametrize("by", ["quantile", "vocabulary", "corpus"])
def test_explanations_of_many_are_those_of_each(by: str, run: Path) -> None:
    stages = NAMED[:2] if by == "corpus" else NAMED
    captions = read_columns(run / "signals/caption.parquet")
    adjectives = [[caption.split()[0]] for caption in read_columns(run / "signals/samples.parquet")["caption"]]
    others = {"verbs": adjectives, "adjectives": adjectives}
    write_table(run / "signals/caption.parquet", {**captions, **others})
    vocabulary = VocabularyConfig(seed_words=2, new_words=1)
    ordered(run, by=by, stages=stages, vocabulary=vocabulary, monotone="report")
    found = read_explanations(run, stage_sections(CONFIG, run, open_stages(run / "stages")))
    assert len(found) == 5 * len(stages)
    assert all(explanation == explain(run, uid) for uid, explanation in found.items())
    assert all((explanation.new_words is not None) == (by == "vocabulary") for explanation in found.values())
    curriculum = read_curriculum(run)
    assert curriculum is not None
    assert [entry.admits for entry in curriculum.exposure] == {
        "quantile": ["0 to 33.3 % by difficulty", "33.3 to 66.7 % by difficulty", "66.7 to 100 % by difficulty"],
        "vocabulary": ["at most 1 new words", "at most 1 new words", "what is left"],
        "corpus": [f"of {explanation.corpus}" for explanation in list(found.values())[::5]],
    }[by]


def test_controls_are_told_in_numbers_of_their_own_files(replayed: Path) -> None:
    run = replayed
    controls = {control.name: control for control in read_controls(run)}
    assert list(controls) == ["order", *NAMES]
    orders = read_columns(run / "curriculum/order.parquet")
    captions = dict(zip(*read_columns(run / "selection/kept.parquet", ["uid", "caption"]).values(), strict=True))
    stage_of = dict(zip(orders["uid"], orders["stage"], strict=True))
    difficulty = dict(zip(orders["uid"], orders["difficulty"], strict=True))
    for name in NAMES:
        columns = read_columns(run / f"curriculum/controls/{name}.parquet", ["uid", "stage"])
        for told in controls[name].stages:
            uids = [uid for uid, own in zip(*columns.values(), strict=True) if own == told.stage]
            assert told.samples == len(uids)
            assert told.words == sum(len(captions[uid].split()) for uid in uids)
            assert told.same == pytest.approx(np.mean([stage_of[uid] == told.stage for uid in uids]))
            assert told.difficulty == pytest.approx(np.mean([difficulty[uid] for uid in uids]))
    assert controls["order"].same == controls["shuffled"].same == 1.0
    assert controls["reversed"].correlation == pytest.approx(-1.0)
    assert abs(controls["random"].correlation) < 0.4
    means = [told.difficulty for told in controls["reversed"].stages]
    assert means == sorted(means, reverse=True)
    text = section(page_of(run), "controls")
    assert "correlation of places \u22121.00" in text


def test_the_page_says_how_many_changed_their_stage(run: Path) -> None:
    ordered(run)
    first = read_curriculum(run)
    assert first is not None and first.changed_stage is None
    before = dict(zip(*read_columns(run / "curriculum/order.parquet", ["uid", "stage"]).values(), strict=True))
    ordered(run, fractions=(0.5, 0.25, 0.25))
    after = dict(zip(*read_columns(run / "curriculum/order.parquet", ["uid", "stage"]).values(), strict=True))
    changed = sum(before[uid] != after[uid] for uid in before)
    assert changed > 0
    assert f"{changed} of them stand in another stage than in the order before" in section(written(run), "curriculum")


def test_growth_is_drawn_with_the_names_of_the_stages(run: Path) -> None:
    curriculum = read_curriculum(ordered(run))
    assert curriculum is not None
    for drawing in (curriculum.wide, curriculum.narrow):
        assert [f"{number} {name}" in drawing for number, name in enumerate(NAMED, start=1)] == [True] * 3
        assert "different words" in drawing and "var(--series-3)" in drawing
    crowded = read_curriculum(ordered(run, stages=("one", "two", "three-with-a-very-long-name")))
    assert crowded is not None
    assert "three-with-a-very-long-name" in crowded.wide and "three-with-a-very-long-name" not in crowded.narrow


def test_the_tree_shows_the_largest_and_counts_the_others(run: Path) -> None:
    captions = read_columns(run / "signals/caption.parquet")
    write_table(run / "signals/caption.parquet", {**captions, "nouns": [[n[0], "<b>&"] for n in captions["nouns"]]})
    ordered(run)
    found = read_concepts(CONFIG.model_copy(update={"branches": 2}), run)
    assert found is not None
    nodes = {node["id"]: node for node in files.read_json(run / "curriculum/ontology.json")["nodes"]}
    assert found.nodes == len(nodes) - 1
    shown = [child for top in found.tree.children for child in top.children]
    assert found.largest == {
        1: max(top.samples for top in found.tree.children),
        2: max(child.samples for child in shown),
    }
    for top in found.tree.children:
        below = [node for node in nodes.values() if node["parent"] == top.id]
        assert len(top.children) + top.hidden == len(below)
        assert min(child.samples for child in top.children) >= sorted(node["samples"] for node in below)[-2]
    page = written(run)
    assert "<b>&amp;" not in page and "&lt;b&gt;&amp;amp;" not in page
    assert f"<b>& {shown[0].samples}" in section(page, "concepts")


def test_a_run_without_an_order_says_so(run: Path) -> None:
    shutil.rmtree(run / "curriculum")
    page = written(run)
    for name in ("curriculum", "controls"):
        assert "Nothing has been ordered in this run." in section(page, name)
    assert "popovertarget" not in page
