"""What is passed on of a run, what stays out, and why: every licence in its place, and nothing without its credit."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from run_tables import write_samples

from pipeline.acquire.card import Card
from pipeline.cards.config import CardConfig, PublishConfig
from pipeline.cards.datacard import write_cards
from pipeline.errors import ConfigError, DataError, SafetyError
from pipeline.files import files_below, read_json, sha256_file
from pipeline.licences import GROUPS
from pipeline.publish import publish
from pipeline.shards.config import StageConfig
from pipeline.shards.read import ShardReader, open_stages
from pipeline.shards.stage import stage
from pipeline.shards.verify import verify_stages
from pipeline.tables import read_columns, write_table
from pipeline.workspace import Step, Workspace

# Forty rows: what their licence says, and where it puts them.
LICENCES = (
    *(("NOASSERTION", "unknown"), ("NONE", "unknown"), ("", "unknown"), ("CC-BY", "unknown")),
    *(("see website", "unknown"), ("All rights reserved", "unknown"), ("LicenseRef-mine", "unknown")),
    *((f"CC-BY-NC-{version}", "non_commercial") for version in ("2.0", "3.0", "4.0")),
    *(("CC-BY-NC-SA-4.0", "non_commercial"), ("CC-BY-NC-ND-4.0", "non_commercial"), ("CC-BY-NC", "non_commercial")),
    *(("PolyForm-Noncommercial-1.0.0", "non_commercial"), ("MIT AND CC-BY-NC-4.0", "non_commercial")),
    *((f"CC-BY-ND-{version}", "no_derivatives") for version in ("2.0", "3.0", "4.0")),
    *(("CC0-1.0 AND CC-BY-ND-4.0", "no_derivatives"), ("CC-BY-ND", "no_derivatives")),
    *(("CC-BY-SA-4.0", "share_alike"), ("CC-BY-SA-3.0", "share_alike"), ("GPL-2.0-only", "share_alike")),
    *(("GPL-3.0-or-later", "share_alike"), ("AGPL-3.0-only", "share_alike"), ("ODbL-1.0", "share_alike")),
    *(("MIT OR GPL-2.0-only", "share_alike"), ("LicenseRef-CC-BY-SA-unversioned", "share_alike")),
    *(("CC0-1.0", "open"), ("CC-BY-4.0", "open"), ("cc-by-4.0", "open"), ("MIT", "open"), ("Apache-2.0", "open")),
    *(("OFL-1.1", "open"), ("LicenseRef-CC-BY-unversioned", "open"), ("LicenseRef-PublicDomain", "open")),
    # The licence of the row is free; a second copy of the picture says something else.
    *(("MIT", "conflict CC-BY-NC-4.0"), ("CC0-1.0", "conflict NOASSERTION"), ("MIT", "conflict CC-BY-SA-4.0")),
    ("CC-BY-4.0", "conflict CC-BY-ND-4.0"),
)
CONFLICTS = {
    "conflict CC-BY-NC-4.0": "non_commercial",
    "conflict NOASSERTION": "unknown",
    "conflict CC-BY-SA-4.0": "share_alike",
    "conflict CC-BY-ND-4.0": "no_derivatives",
}


def card(name: str, *, redistributable: bool = True) -> Card:
    source = {"engine": "folder", "path": "pictures"}
    words = {"title": name.title(), "licence": "MIT", "attribution": "The painters", "child_directed": True}
    return Card(name=name, **words, redistributable=redistributable, source=source, body="", path=Path())  # type: ignore[arg-type]


def do_stage(run: Path, closed: Collection[str] = ()) -> None:
    """Stage a run and write its card, as steps with records."""
    cards = [card(name, redistributable=name not in closed) for name in ("shapes", "lines")]
    dumped = [source.model_dump(mode="json", exclude={"path"}) for source in cards]
    config = CardConfig(name="mixed")
    workspace = Workspace(run)
    workspace.run(
        Step(
            name="stage",
            function=lambda out: stage(StageConfig(image_size=16), run, out, closed=closed, workers=1),
            outputs=("stages",),
            params={"closed": sorted(closed), "samples": sha256_file(run / "signals/samples.parquet")},
        )
    )
    workspace.run(
        Step(
            name="card",
            function=lambda out: write_cards(config, run, out, sources=cards),
            outputs=("card",),
            inputs=("stage",),
            params={"config": config.model_dump(mode="json"), "cards": dumped},
        )
    )


@pytest.fixture
def plain(small_run: Path, tmp_path: Path) -> Path:
    """A run in which everything may be passed on."""
    run = tmp_path / "runs/plain"
    shutil.copytree(small_run, run, ignore=shutil.ignore_patterns("stages"))
    do_stage(run)
    return run


@pytest.fixture
def mixed(small_run: Path, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A run with forty samples of all kinds of licences, and the group that each of all samples belongs to."""
    run = tmp_path / "runs/mixed"
    shutil.copytree(small_run, run, ignore=shutil.ignore_patterns("stages"))
    rows = read_columns(run / "signals/samples.parquet")
    groups = dict.fromkeys(rows["uid"], "open")
    rejected: dict[str, list[object]] = {name: [] for name in rows}
    for place, (licence, group) in enumerate(LICENCES):
        place *= 4  # spread over both corpora and all sets
        rows["licence"][place] = licence
        groups[rows["uid"][place]] = CONFLICTS.get(group, group)
        if group in CONFLICTS:
            copy = {name: values[place] for name, values in rows.items()} | {"licence": group.split()[1]}
            for name, value in copy.items():
                rejected[name].append(value)
    write_samples(run, rows)
    write_table(run / "signals/rejected.parquet", rejected)
    do_stage(run)
    return run, groups


def placed(stages: Path) -> dict[str, str]:
    """The group of every sample, by the name of its shard."""
    by_prefix = {prefix: group for group, prefix in GROUPS.items()}
    opened = open_stages(stages)
    found = {}
    for part in (*opened.stages, *opened.evaluation.values()):
        for uid, shard in zip(part.column("uid"), part.column("shard"), strict=True):
            found[uid] = by_prefix[shard.rstrip("0123456789.tar")] if not shard[0].isdigit() else "open"
    return found


def credits_in(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> str:
    """All that is to be read below a folder, tables included."""
    return "".join(
        str(read_columns(path)) if path.suffix == ".parquet" else path.read_bytes().decode("latin-1")
        for path in files_below(folder)
    )


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files_below(folder)}


def test_forty_rows_of_all_licences_are_where_they_belong(mixed: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    run, groups = mixed
    assert len(LICENCES) == 40
    assert placed(run / "stages") == groups
    assert verify_stages(run / "stages") == []
    target = tmp_path / "published"
    counts = publish(PublishConfig(), run, target)
    out = {uid for uid, group in groups.items() if group not in ("open", "share_alike")}
    assert set(placed(target)) == groups.keys() - out
    expected = Counter(groups[uid] for uid in out)
    assert counts == {
        "in": 160,
        "kept": 160 - len(out),
        "dropped": {
            "no_derivatives": expected["no_derivatives"],
            "non_commercial": expected["non_commercial"],
            "unknown_licence": expected["unknown"],
        },
    }
    manifest = read_json(target / "manifest.json")
    assert manifest["published"] == {**counts, "of": read_json(run / "stages/manifest.json")["sha256"]}
    assert verify_stages(target) == []
    text = content(target)
    assert not [uid for uid in out if uid in text]
    assert [uid for uid in groups.keys() - out if uid not in text] == []


def test_every_sample_is_credited_and_the_most_restrictive_licence_is_shown(
    mixed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    run, groups = mixed
    publish(PublishConfig(), run, tmp_path / "published")
    rows = credits_in(run / "stages/ATTRIBUTION.csv")
    assert (run / "card/ATTRIBUTION.csv").read_bytes() == (run / "stages/ATTRIBUTION.csv").read_bytes()
    assert {row["uid"]: row["licence_group"] for row in rows} == groups
    needed = ("corpus", "licence_source", "licence_group", "attribution", "url", "image_sha256", "set")
    assert all(row[name] for row in rows for name in needed)
    published = credits_in(tmp_path / "published/ATTRIBUTION.csv")
    assert [row["uid"] for row in published] == sorted(placed(tmp_path / "published"))
    assert published == [row for row in rows if groups[row["uid"]] in ("open", "share_alike")]
    assert all(row["licence"] for row in published)
    assert re.search(r"Most restrictive licence: .+ \(unknown\)\.", (run / "card/README.md").read_text())
    card_text = (tmp_path / "published/README.md").read_text()
    assert "Most restrictive licence: AGPL-3.0-only (share alike)" in card_text
    assert "Do not pass these shards on" in (run / "card/README.md").read_text()
    assert "Do not pass these shards on" not in card_text
    assert "left out: " in card_text and "unknown licence" in card_text


def test_a_recipe_may_say_that_unknown_licences_go_too(mixed: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    run, groups = mixed
    counts = publish(PublishConfig(unknown=True), run, tmp_path / "published")
    assert set(counts["dropped"]) == {"no_derivatives", "non_commercial"}
    shown = placed(tmp_path / "published")
    assert shown == {u: g for u, g in groups.items() if g in ("open", "share_alike", "unknown")}
    assert verify_stages(tmp_path / "published") == []


def test_what_is_published_is_read_like_any_stages(mixed: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    run, _ = mixed
    publish(PublishConfig(), run, tmp_path / "published")
    whole, part = open_stages(run / "stages"), open_stages(tmp_path / "published")
    for before, after in zip(whole.stages, part.stages, strict=True):
        kept = set(after.column("uid"))
        assert list(after.column("uid")) == [uid for uid in before.column("uid") if uid in kept]
        assert list(after.column("rank")) == sorted(after.column("rank"))
        old, new = ShardReader(before), ShardReader(after)
        places = {uid: row for row, uid in enumerate(before.column("uid"))}
        assert all(new.read(row) == old.read(places[uid]) for row, uid in enumerate(after.column("uid")))
        assert after.entry["words"] == sum(after.column("words"))
        assert after.entry["difficulty"]["max"] == max(after.column("difficulty"))
    for pattern in [p for c in yaml_configs(tmp_path / "published/README.md") for p in c]:
        assert list((tmp_path / "published").glob(pattern)), pattern


def yaml_configs(path: Path) -> list[list[str]]:
    import yaml

    front = yaml.safe_load(path.read_text().split("---\n")[1])
    return [entry["path"] for config in front["configs"] for entry in config["data_files"]]


def test_a_free_run_keeps_the_names_of_its_shards_and_goes_as_a_whole(plain: Path, tmp_path: Path) -> None:
    manifest = read_json(plain / "stages/manifest.json")
    for entry in (*manifest["stages"], *manifest["evaluation"]):
        assert [s["file"] for s in entry["shards"]] == [f"{n:05d}.tar" for n in range(len(entry["shards"]))]
        assert {shard["licence"] for shard in entry["shards"]} == {"open"}
        assert all(set(shard["licences"]) <= {"MIT", "CC-BY-4.0"} for shard in entry["shards"])
    counts = publish(PublishConfig(), plain, tmp_path / "published", everything=True)
    assert counts == {"in": 160, "kept": 160, "dropped": {}}
    for path in (plain / "stages").rglob("*"):
        name = path.relative_to(plain / "stages").as_posix()
        if path.is_file() and name != "manifest.json":
            assert (tmp_path / "published" / name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("closed", "everything", "words"),
    [
        ({"shapes", "lines"}, False, "none of its 160 samples may be passed on (160 not_redistributable)"),
        ({"lines"}, True, "80 not_redistributable"),
    ],
)
def test_a_source_that_may_not_be_redistributed_is_refused(
    plain: Path, tmp_path: Path, closed: set[str], everything: bool, words: str
) -> None:
    do_stage(plain, closed)
    with pytest.raises(SafetyError) as caught:
        publish(PublishConfig(unknown=True), plain, tmp_path / "published", everything=everything)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.exit_code == 6
    assert not (tmp_path / "published").exists()


def test_the_other_sources_go_without_it(plain: Path, tmp_path: Path) -> None:
    do_stage(plain, {"lines"})
    counts = publish(PublishConfig(unknown=True), plain, tmp_path / "published")
    assert counts["dropped"] == {"not_redistributable": 80}
    assert {row["corpus"] for row in credits_in(tmp_path / "published/ATTRIBUTION.csv")} == {"shapes"}
    assert "Corpora that may not be redistributed: lines." in (plain / "card/README.md").read_text()
    assert "| lines |" not in (tmp_path / "published/README.md").read_text()
    assert verify_stages(tmp_path / "published") == []


def test_a_later_call_replaces_what_an_earlier_one_published(plain: Path, tmp_path: Path) -> None:
    target = tmp_path / "published"
    publish(PublishConfig(), plain, target)
    before = tree(target)
    publish(PublishConfig(), plain, target)
    assert tree(target) == before
    do_stage(plain, {"lines"})
    publish(PublishConfig(), plain, target)
    publish(PublishConfig(), plain, tmp_path / "anew")
    assert tree(target) == tree(tmp_path / "anew") != before
    assert verify_stages(target) == []


def test_a_folder_of_something_else_is_left_alone(plain: Path, tmp_path: Path) -> None:
    target = tmp_path / "published"
    target.mkdir()
    (target / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"thesis\.txt"):
        publish(PublishConfig(), plain, target)
    assert [path.name for path in target.iterdir()] == ["thesis.txt"]
    (target / "thesis.txt").rename(target / "manifest.json")
    with pytest.raises(ConfigError, match=r"another manifest\.json"):
        publish(PublishConfig(), plain, target)
    with pytest.raises(ConfigError, match=r"manifest\.json is a file; name a folder"):
        publish(PublishConfig(), plain, target / "manifest.json")
    for inside in (plain / "published", plain, plain.parent):
        with pytest.raises(ConfigError, match="choose another folder"):
            publish(PublishConfig(), plain, inside)


def test_damaged_or_overtaken_stages_are_not_published(plain: Path, tmp_path: Path) -> None:
    shard = plain / "stages/1-one/00000.tar"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + b"x")
    with pytest.raises(DataError, match=r"1-one/00000\.tar is damaged"):
        publish(PublishConfig(), plain, tmp_path / "published")
    assert not (tmp_path / "published/manifest.json").exists()
    shard.write_bytes(whole)
    record = read_json(plain / "steps/stage.json")
    (plain / "steps/stage.json").write_text(json.dumps({**record, "outputs": {}}))
    with pytest.raises(ConfigError, match="older than what they were made from"):
        publish(PublishConfig(), plain, tmp_path / "published")
    shutil.rmtree(plain / "steps")
    with pytest.raises(ConfigError, match="no staged shards with a data card"):
        publish(PublishConfig(), plain, tmp_path / "published")


def test_verify_finds_a_licence_in_the_wrong_shard_and_counts_that_do_not_add_up(
    mixed: tuple[Path, dict[str, str]], tmp_path: Path, edited: Callable[..., None]
) -> None:
    run, _ = mixed
    target = tmp_path / "published"
    publish(PublishConfig(), run, target)
    whole = (target / "manifest.json").read_bytes()
    edited(target, lambda m: m["published"].update({"kept": 159}))
    assert len(verify_stages(target)) == 2
    (target / "manifest.json").write_bytes(whole)
    edited(target, lambda m: m["stages"][0]["shards"][0].update({"licences": ["MIT"]}))
    assert any("holds the licences" in problem for problem in verify_stages(target))
    (target / "manifest.json").write_bytes(whole)
    edited(target, lambda m: m["stages"][0]["shards"][-1].update({"licence": "open"}))
    assert any("has not the name of a shard" in problem for problem in verify_stages(target))


@pytest.fixture
def edited() -> Callable[..., None]:
    from pipeline.files import digest, write_json

    def edit(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
        manifest = read_json(folder / "manifest.json")
        del manifest["sha256"]
        change(manifest)
        write_json(folder / "manifest.json", {**manifest, "sha256": digest(manifest)})

    return edit


@pytest.mark.slow
def test_killed_anywhere_a_folder_is_whole_or_has_no_manifest(plain: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_takedown.py")
    done = subprocess.run(
        [sys.executable, script, "publish", plain, tmp_path / "kills"], capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["killed"] >= 20
    assert report["different"] == [] and report["unsound"] == []
