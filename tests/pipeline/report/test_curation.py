"""What the page says of curation: numbers that are those of the files, and pictures of which none was unsafe."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import files
from pipeline.acquire.raw import RawRow, write_raw
from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.order import order
from pipeline.errors import DataError
from pipeline.report.calibration import read_calibration
from pipeline.report.catalogue import read_catalogue
from pipeline.report.config import ReportConfig
from pipeline.report.controls import read_controls
from pipeline.report.corpora import read_corpora
from pipeline.report.duplicates import read_duplicates
from pipeline.report.fits import read_fits
from pipeline.report.selection import read_funnel, read_galleries, read_safety
from pipeline.report.signals import read_signals
from pipeline.report.sources import read_licence_groups
from pipeline.report.stages import evaluation_sections, stage_sections
from pipeline.select.safety_config import Classifier, SafetyConfig
from pipeline.shards.read import open_stages
from pipeline.tables import read_columns, write_table

CONFIG = ReportConfig(grid=200, gallery=8, pairs=8, clusters=2, cluster_size=3, fits=4, thumbnail=32)


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    """A copy of the small run in which nothing has been dropped yet."""
    run = shutil.copytree(small_run, tmp_path / "run")
    captions = read_columns(run / "signals/caption.parquet")
    write_table(run / "signals/caption.parquet", {**captions, "verbs": [[] for _ in captions["uid"]]})
    drop(run, {})
    return run


def uids(run: Path) -> dict[str, str]:
    samples = read_columns(run / "signals/samples.parquet", ["caption", "uid"])
    return dict(zip(samples["caption"], samples["uid"], strict=True))


def drop(run: Path, verdicts: dict[str, tuple[str, str, str, float | None]]) -> None:
    """Write the verdicts: step, reason, partner's caption and score by caption; the others stay."""
    known = uids(run)
    rows = [
        (uid, False, *verdicts[caption][:2], known.get(verdicts[caption][2], ""), verdicts[caption][3])
        if caption in verdicts
        else (uid, True, "", "", "", None)
        for caption, uid in known.items()
    ]
    names = ("uid", "kept", "step", "reason", "partner", "score")
    columns: dict[str, Any] = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    columns["score"][0] = columns["score"][0] or 0.0
    write_table(run / "selection/verdicts.parquet", columns)


def rename(run: Path, before: str, after: str) -> None:
    samples = read_columns(run / "signals/samples.parquet")
    samples["caption"] = [after if caption == before else caption for caption in samples["caption"]]
    write_table(run / "signals/samples.parquet", samples)


def test_a_gallery_shows_what_a_filter_dropped_but_nothing_unsafe(run: Path) -> None:
    """What a filter drops is never asked whether it is safe: the page asks before it shows it."""
    rename(run, "green circle", "a glass of whisky")
    dropped = ("a glass of whisky", "green circle here", "green circle up high")
    drop(run, dict.fromkeys(dropped, ("filter", "long_caption", "", None)))
    catalogue = read_catalogue(run)
    assert catalogue is not None
    (gallery,) = read_galleries(CONFIG, SafetyConfig(), catalogue)
    assert (gallery.step, gallery.reason, gallery.total) == ("filter", "long_caption", 3)
    assert sorted(tile.caption for tile in gallery.tiles) == ["green circle here", "green circle up high"]
    judge = Classifier(plugin="mine:judge")
    for own in (SafetyConfig(classifiers=(judge,)), SafetyConfig(word_lists={"en": Path("beside-the-recipe.yaml")})):
        assert [(gallery.total, gallery.tiles) for gallery in read_galleries(CONFIG, own, catalogue)] == [(3, [])]


def test_an_unsafe_picture_is_shown_under_no_caption(run: Path) -> None:
    """Not in a gallery, a cluster, among the best pairs, in a stage or in an evaluation set."""
    samples = read_columns(run / "signals/samples.parquet")
    row = {caption: place for place, caption in enumerate(samples["caption"])}
    unsafe = samples["image_sha256"][row["green circle"]]
    for caption in ("green circle here", "green circle up high"):
        samples["image_sha256"][row[caption]] = unsafe
    write_table(run / "signals/samples.parquet", samples)
    drop(
        run,
        {
            "green circle": ("safety", "unsafe_weapons", "", None),
            "green circle here": ("filter", "long_caption", "", None),
            "green line": ("duplicates", "near_duplicate", "green circle up high", 0.9),
        },
    )
    write_table(run / "signals/alignment.parquet", {"uid": samples["uid"], "score": [0.5] * len(samples["uid"])})
    catalogue = read_catalogue(run)
    assert catalogue is not None and catalogue.unsafe == {unsafe}
    assert [gallery.tiles for gallery in read_galleries(CONFIG, SafetyConfig(), catalogue)] == [[]]
    duplicates = read_duplicates(CONFIG, catalogue)
    assert duplicates is not None and (duplicates.samples, duplicates.kinds, duplicates.clusters) == (1, [], [])
    everything = CONFIG.model_copy(update={"fits": 100})
    shown = {tile.caption for fit in read_fits(everything, run, catalogue) for tile in (*fit.best, *fit.worst)}
    assert len(shown) == 154 and not {caption for caption in shown if caption.startswith("green circle up")}
    with pytest.raises(DataError, match="was dropped for safety and cannot be shown"):
        catalogue.tile(samples["uid"][row["green circle up high"]], CONFIG)


def test_stages_leave_out_what_may_not_be_shown(run: Path) -> None:
    stages = open_stages(run / "stages")
    image = stages.stages[0].table.column("image_sha256")[0].as_py()
    held = stages.evaluation["validation"].table.column("image_sha256")[0].as_py()
    for part, before, after in zip(
        (*stages.stages, *stages.evaluation.values()),
        (*stage_sections(CONFIG, run, stages), *evaluation_sections(CONFIG, stages)),
        (
            *stage_sections(CONFIG, run, stages, frozenset({image})),
            *evaluation_sections(CONFIG, stages, frozenset({held})),
        ),
        strict=True,
    ):
        affected = part.name in (stages.stages[0].name, "validation")
        assert len(before.tiles) - len(after.tiles) == affected
        assert before.samples == after.samples


def test_clusters_are_what_one_picture_stands_for(run: Path) -> None:
    copies = ("red circle here", "red circle up high", "red circle far down below")
    drop(
        run,
        {
            **dict.fromkeys(copies, ("duplicates", "same_drawing", "red circle", 0.9)),
            "red line": ("duplicates", "near_duplicate", "red arc", 0.99),
        },
    )
    found = read_duplicates(CONFIG, read_catalogue(run))
    assert found is not None
    assert [(kind.reason, kind.total) for kind in found.kinds] == [("same_drawing", 3), ("near_duplicate", 1)]
    assert [(cluster.dropped, len(cluster.tiles)) for cluster in found.clusters] == [(3, 3)]
    assert found.clusters[0].tiles[0].caption == "red circle"
    assert found.sizes == {1: 1, 3: 1}


def test_safety_is_counted_by_corpus_and_never_shown(run: Path) -> None:
    drop(run, dict.fromkeys(("red circle", "red line", "red arc"), ("safety", "unsafe_weapons", "", None)))
    files.write_json(run / "signals/catalogue.json", {"personal": {"e_mail": 3}})
    found = read_safety(run, read_catalogue(run))
    assert found is not None
    assert (found.corpora, found.dropped) == (["lines", "shapes"], {"unsafe_weapons": {"lines": 2, "shapes": 1}})
    assert found.personal == {"e_mail": 3}


def test_every_row_of_a_source_is_counted(tmp_path: Path) -> None:
    image = (tmp_path / "x").name.encode()
    rows = [
        RawRow(url="a", caption="a", image=image, ext="jpg"),
        RawRow(url="b", caption="b", status="failed_to_download", reason="not_found"),
        RawRow(url="c", caption="c", status="failed_to_download", reason="not_found"),
        RawRow(url="d", caption="d", status="excluded", reason="opt_out", opt_out="X-Robots-Tag: noai"),
        RawRow(url="", caption="", status="excluded", reason="takedown"),
    ]
    write_raw(rows, tmp_path / "raw/web", rows_per_shard=2)
    (corpus,) = read_corpora(tmp_path)
    assert (corpus.name, corpus.rows, corpus.acquired, corpus.taken_down) == ("web", 5, 1, 1)
    assert corpus.reasons == {"not_found": 2, "opt_out": 1}
    assert corpus.opt_outs == {"X-Robots-Tag: noai": 1}


def test_signals_are_drawn_for_every_corpus_and_stage(run: Path) -> None:
    found = read_signals(run)
    assert found is not None and found.samples == 160
    assert [signal.column for signal in found.chosen] == [
        "image.entropy", "image.edge_density", "caption.tokens", "caption.parse_depth", "lexicon.zipf_mean",
        "lexicon.zipf_min",
    ]  # fmt: skip
    tokens = found.chosen[2].figure
    for name in ("lines", "shapes", "1 one", "2 two", "3 three"):
        assert f">{name}</text>" in tokens
    assert ">words of the caption</text>" in tokens
    assert "var(--series-1)" in tokens and "var(--series-3)" in tokens


def test_a_caption_with_another_picture_counts_with_what_was_measured_of_each(run: Path) -> None:
    """Such a pair was never measured itself: its caption stands under one uid, its picture under another."""
    known = uids(run)
    kept = read_columns(run / "selection/kept.parquet")
    row = kept["uid"].index(known["red circle"])
    kept["uid"][row], kept["picture_uid"][row] = "0" * 32, known["blue square"]
    kept["split"] = ["train" if uid == "0" * 32 else "validation" for uid in kept["uid"]]
    write_table(run / "selection/kept.parquet", kept)
    for file, column, caption in (("image", "entropy", "blue square"), ("caption", "tokens", "red circle")):
        table = read_columns(run / f"signals/{file}.parquet")
        table[column] = [0.321 if uid == known[caption] else 0.9 * (n % 2) for n, uid in enumerate(table["uid"])]
        write_table(run / f"signals/{file}.parquet", table)
    write_table(
        run / "signals/alignment.parquet", {"uid": list(known.values()), "score": [n / 160 for n in range(160)]}
    )
    shutil.rmtree(run / "curriculum")
    order(CurriculumConfig(stages=("all",)), run, run)
    found = read_signals(run)
    assert found is not None
    drawn = {signal.column: signal.figure for signal in found.chosen}
    for column, told in (("image.entropy", "0.321"), ("caption.tokens", "0.321"), ("alignment.score", "–")):
        assert f">{told}</text>" in drawn[column]
    assert [control.correlation for control in read_controls(run)] == [1.0] * 6
    steps = [{"step": "filter", "in": 160, "kept": 160, "dropped": {}}]
    files.write_json(run / "selection/funnel.json", {"steps": steps})
    funnel = read_funnel(run)
    assert funnel is not None and funnel.merged == 1


def test_a_signal_that_says_nothing_is_named_and_not_drawn(run: Path) -> None:
    image = read_columns(run / "signals/image.parquet")
    count = len(image["uid"])
    image |= {"grey": [True] * count, "text_share": [None] * (count - 1) + [0.5], "odd": [True, False] * (count // 2)}
    write_table(run / "signals/image.parquet", image)
    found = read_signals(run)
    assert found is not None
    assert found.empty == ["image.grey", "image.text_share"]
    assert [signal.column for signal in found.others] == ["image.odd"]


def test_the_ends_of_a_corpus_are_its_highest_and_lowest_scores(run: Path) -> None:
    samples = read_columns(run / "signals/samples.parquet")
    scores: list[float | None] = [place / 100 for place in range(160)]
    scores[5] = None
    write_table(run / "signals/alignment.parquet", {"uid": samples["uid"], "score": scores})
    for fit in read_fits(CONFIG, run, read_catalogue(run)):
        own = [place for place, corpus in enumerate(samples["corpus"]) if corpus == fit.corpus and place != 5]
        assert fit.scored == len(own)
        assert [tile.note for tile in fit.best] == [f"{place / 100:.2f}" for place in own[:-5:-1]]
        assert [tile.caption for tile in fit.worst] == [samples["caption"][place] for place in own[:4]]


def test_licences_stand_with_their_shards(run: Path) -> None:
    (group,) = read_licence_groups(open_stages(run / "stages"))
    manifest = files.read_json(run / "stages/manifest.json")
    shards = sum(len(entry["shards"]) for entry in (*manifest["stages"], *manifest["evaluation"]))
    assert (group.group, group.shards, group.samples) == ("open", shards, 160)
    assert group.licences == {"CC-BY-4.0": 80, "MIT": 80}


def test_without_a_calibration_there_is_none(run: Path) -> None:
    assert read_calibration(run) is None
