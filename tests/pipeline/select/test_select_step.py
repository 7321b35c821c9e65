"""The whole selection on a small run of real pictures, measured and encoded by the real steps."""

import io
import itertools
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from real_pictures import corpus, encoded, picture, row

from pipeline import files
from pipeline.acquire.raw import RawRow
from pipeline.errors import DataError, SafetyError
from pipeline.measure.config import EmbedConfig, MeasureConfig
from pipeline.measure.measure import embed, measure
from pipeline.sample import sample_uid
from pipeline.select.config import DuplicateConfig, Rule, SafetyConfig, SelectConfig, SplitConfig
from pipeline.select.real_children import CorpusFacts
from pipeline.select.select import select
from pipeline.shards.picture import decode_rgb
from pipeline.tables import read_columns, read_table
from pipeline.workspace import check_funnel

ENCODER = "efficientnet-lite0"
CORPORA = ("books", "drawings")
NOUNS = [
    "apple",
    "ball",
    "bear",
    "bird",
    "boat",
    "book",
    "bread",
    "bus",
    "cake",
    "cat",
    "chair",
    "clock",
    "cloud",
    "coat",
    "cow",
    "cup",
    "dog",
    "door",
    "duck",
    "egg",
]
CONFIG = SelectConfig(safety=SafetyConfig(on_hit="drop"), split=SplitConfig(test=0.2, validation=0.1))


def jpeg(data: bytes, quality: int) -> bytes:
    out = io.BytesIO()
    decode_rgb(data).save(out, "JPEG", quality=quality)
    return out.getvalue()


def packed(data: bytes) -> bytes:
    out = io.BytesIO()
    decode_rgb(data).save(out, "PNG", compress_level=0)
    return out.getvalue()


def make_run(run: Path, *, turned: bool = False) -> Path:
    """Twenty names in two corpora, and one of everything that is dropped.

    Args:
        turned: the rows of each corpus in the opposite order.
    """
    drawings = [row(f"a {noun}", picture(n, side=96)) for n, noun in enumerate(NOUNS)]
    books = [
        row(f"Here is a {noun}.", picture(100 + n, side=96), group=f"story {n // 4}") for n, noun in enumerate(NOUNS)
    ]
    books += [
        row("The same pixels in another file.", packed(picture(100, side=96)), group="story 90"),
        row("The same picture, compressed.", jpeg(picture(101, side=96), 90), ext="jpg", group="story 91"),
        row("Another sentence about the same file.", picture(102, side=96), group="story 92"),
        row("He drank a glass of wine.", picture(200, side=96), group="story 93"),
        row("xqzzv vvkqx", picture(201, side=96), group="story 94"),
        row("a very small picture", picture(202, side=20), group="story 95"),
        row("", picture(203, side=96), group="story 96"),
        row("Here is a ball.", picture(101, side=96), group="story 97"),
        row("gone", None, status="failed_to_download", reason="http_404"),
    ]
    rows: dict[str, list[RawRow]] = {"books": books, "drawings": drawings}
    raw = {name: corpus(run, name, rows[name][::-1] if turned else rows[name]) for name in CORPORA}
    measure(MeasureConfig(workers=1), raw, run, run)
    embed(EmbedConfig(image_size=64), run, run)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("select") / "run")


@pytest.fixture(scope="module")
def selected(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("selected")
    select(CONFIG, CORPORA, ENCODER, run, out)
    return out / "selection"


def verdicts(folder: Path) -> dict[str, dict[str, Any]]:
    columns = read_columns(folder / "verdicts.parquet")
    return {values[0]: dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)}


def captions(run: Path) -> dict[str, str]:
    columns = read_columns(run / "signals/samples.parquet", ["uid", "caption"])
    return dict(zip(columns["uid"], columns["caption"], strict=True))


def as_acquired(folder: Path) -> list[str]:
    """The uids of the pairs that stay as they came, without captions that live on with another picture."""
    kept = read_columns(folder / "kept.parquet", ["uid", "caption_uid"])
    return [uid for uid, origin in zip(*kept.values(), strict=True) if uid == origin]


def test_every_planted_fault_is_dropped_with_its_reason_and_nothing_else(run: Path, selected: Path) -> None:
    by_uid = captions(run)
    dropped = {by_uid[uid]: (v["step"], v["reason"]) for uid, v in verdicts(selected).items() if not v["kept"]}
    twins = {"The same pixels in another file.", "Here is a apple."}
    near = {"The same picture, compressed.", "Here is a ball."}
    assert len(twins & dropped.keys()) == 1 and len(near & dropped.keys()) == 1
    assert {dropped.pop(caption) for caption in twins & dropped.keys()} == {("duplicates", "duplicate_pixels")}
    assert {dropped.pop(caption) for caption in near & dropped.keys()} == {("duplicates", "near_duplicate")}
    assert dropped == {
        "He drank a glass of wine.": ("safety", "unsafe_alcohol"),
        "xqzzv vvkqx": ("filter", "unknown_words"),
        "a very small picture": ("filter", "small_picture"),
    }


def test_a_duplicate_names_a_kept_partner_and_how_close_it_is(selected: Path) -> None:
    found = verdicts(selected)
    duplicates = [verdict for verdict in found.values() if verdict["step"] == "duplicates"]
    assert len(duplicates) == 2
    for verdict in duplicates:
        assert found[verdict["partner"]]["kept"]
        assert verdict["score"] >= CONFIG.duplicates.cosine
    others = [verdict for verdict in found.values() if verdict["step"] != "duplicates"]
    assert all(verdict["partner"] == "" and verdict["score"] is None for verdict in others)


def test_captions_of_merged_pictures_live_on_with_the_picture_that_stays(run: Path, selected: Path) -> None:
    found = verdicts(selected)
    measured = read_columns(run / "signals/samples.parquet")
    of = {uid: {name: measured[name][row] for name in measured} for row, uid in enumerate(measured["uid"])}
    rows = {row["uid"]: row for row in read_table(selected / "kept.parquet").to_pylist()}
    merged = [row for row in rows.values() if row["caption_uid"] != row["uid"]]
    gone = {uid for uid, verdict in found.items() if verdict["step"] == "duplicates"}
    assert {pair["caption_uid"] for pair in merged} == gone and len(gone) == 2
    for pair in merged:
        caption, picture = of[pair["caption_uid"]], of[pair["picture_uid"]]
        assert pair["uid"] == sample_uid(pair["image_sha256"], pair["caption"])
        assert pair["picture_uid"] == found[pair["caption_uid"]]["partner"]
        assert pair["split"] == rows[pair["picture_uid"]]["split"]
        for name in ("caption", "lang", "group", "licence_source"):
            assert pair[name] == caption[name]
        for name in ("image_sha256", "corpus", "url", "raw_shard", "raw_offset", "raw_size"):
            assert pair[name] == picture[name]


def test_the_funnel_goes_from_the_first_row_to_the_last_sample(run: Path, selected: Path) -> None:
    steps = files.read_json(selected / "funnel.json")["steps"]
    assert [step["step"] for step in steps] == ["acquire", "measure", "filter", "safety", "contamination", "duplicates"]
    assert steps[0] == {"step": "acquire", "in": 49, "kept": 48, "dropped": {"http_404": 1}}
    assert steps[1] == {"step": "measure", "in": 48, "kept": 46, "dropped": {"empty_caption": 1, "repeated_pair": 1}}
    for before, after in itertools.pairwise(steps):
        check_funnel(after["step"], after)
        assert after["in"] == before["kept"]
    assert steps[-1]["kept"] == len(as_acquired(selected)) == 41


def test_all_files_tell_the_same_story(run: Path, selected: Path) -> None:
    found = verdicts(selected)
    assert as_acquired(selected) == sorted(uid for uid, verdict in found.items() if verdict["kept"])
    assert set(read_columns(selected / "kept.parquet")["split"]) == {"train", "validation", "test_names"}
    rejected = read_columns(selected / "rejected/samples.parquet")
    assert rejected["uid"] == sorted(uid for uid, verdict in found.items() if not verdict["kept"])
    assert rejected["reason"] == [found[uid]["reason"] for uid in rejected["uid"]]
    pairs = read_columns(selected / "pairs.parquet")
    merged = [pair for pair in zip(pairs["cosine"], pairs["difference"], strict=True) if pair[0] >= 0.96]
    assert len(pairs["cosine"]) >= len(merged) >= 2
    assert sum(pairs["same_pixels"]) == 1


def test_no_group_stands_on_both_sides(run: Path, selected: Path) -> None:
    split = read_columns(selected / "kept.parquet")
    sides: dict[str, set[str]] = {}
    for group, side in zip(split["group"], split["split"], strict=True):
        sides.setdefault(group, set()).add(side)
    assert all(len(side) == 1 for side in sides.values())
    by_caption = {caption: uid for uid, caption in captions(run).items()}
    same_file = [by_caption["Here is a bear."], by_caption["Another sentence about the same file."]]
    assert len({split["split"][split["uid"].index(uid)] for uid in same_file}) == 1


def test_the_same_bytes_again_and_for_rows_in_another_order(
    run: Path, selected: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = ("verdicts.parquet", "kept.parquet", "pairs.parquet", "funnel.json")
    select(CONFIG, CORPORA, ENCODER, run, tmp_path / "again")
    for name in (*names, "rejected/samples.parquet"):
        assert (tmp_path / "again/selection" / name).read_bytes() == (selected / name).read_bytes()
    turned = make_run(tmp_path_factory.mktemp("turned") / "run", turned=True)
    select(CONFIG, CORPORA, ENCODER, turned, tmp_path / "turned")
    for name in ("verdicts.parquet", "pairs.parquet", "funnel.json"):
        assert (tmp_path / "turned/selection" / name).read_bytes() == (selected / name).read_bytes()


def test_a_stricter_rule_keeps_more(run: Path, tmp_path: Path) -> None:
    strict = CONFIG.model_copy(update={"duplicates": DuplicateConfig(cosine=1, hamming=0, difference=0, redrawn=False)})
    counts = select(strict, CORPORA, ENCODER, run, tmp_path)
    assert counts["dropped"]["duplicate_pixels"] == 1
    assert "near_duplicate" not in counts["dropped"]


def test_no_table_holds_a_small_copy_of_a_picture(run: Path, selected: Path) -> None:
    """What safety drops would live on in it."""
    for path in [*run.rglob("*.parquet"), *selected.rglob("*.parquet")]:
        assert not {"binary", "large_binary"} & {str(kind) for kind in pq.read_schema(path).types}, path


def test_an_unsafe_caption_stops_the_run_and_leaves_nothing_behind(run: Path, tmp_path: Path) -> None:
    facts = {"books": CorpusFacts(child_directed=True)}
    with pytest.raises(SafetyError, match=r"1 samples .* \(1 unsafe_alcohol\).* select.safety.on_hit: drop") as stop:
        select(SelectConfig(), CORPORA, ENCODER, run, tmp_path, facts=facts)
    assert stop.value.exit_code == 6
    assert not (tmp_path / "selection").exists()


def test_nothing_left_says_where_to_look(run: Path, tmp_path: Path) -> None:
    nothing = Rule(column="caption.tokens", min=1_000, reason="short_caption")
    config = SelectConfig(preset="none", filters=(nothing,), safety=SafetyConfig(on_hit="off"))
    with pytest.raises(DataError, match="nothing is left of 46 samples"):
        select(config, CORPORA, ENCODER, run, tmp_path)


def test_nothing_to_train_on_is_an_error(run: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"split": SplitConfig(held_out="books")})
    only = Rule(column="samples.corpus", allowed=("books",), reason="other_corpus")
    with pytest.raises(DataError, match="no sample is left to train on"):
        select(config.model_copy(update={"filters": (only,)}), CORPORA, ENCODER, run, tmp_path)


def test_counts_that_do_not_add_up_are_an_error(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    counts = files.read_json(copy / "signals/catalogue.json")
    files.write_json(copy / "signals/catalogue.json", {**counts, "dropped": {"empty_caption": 1}})
    with pytest.raises(DataError, match=r"step measure: 48 samples came in, 46 were kept and 1 dropped"):
        select(CONFIG, CORPORA, ENCODER, copy, tmp_path)


def test_embeddings_of_other_pictures_are_an_error(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    names = files.read_json(copy / f"embeddings/{ENCODER}/images.json")
    files.write_json(copy / f"embeddings/{ENCODER}/images.json", [name[::-1] for name in names])
    with pytest.raises(DataError, match=r"has no vector for \d+ pictures; remove it and run again"):
        select(CONFIG, CORPORA, ENCODER, copy, tmp_path)


def test_the_picture_of_an_unsafe_caption_is_in_no_output(run: Path, selected: Path) -> None:
    unsafe = picture(200, side=96)
    assert encoded(decode_rgb(unsafe)) == unsafe
    for path in files.files_below(selected):
        assert unsafe[-200:] not in path.read_bytes()
    columns = read_columns(selected / "rejected/samples.parquet")
    assert "thumbnail" not in columns
