"""Whole groups on one side, whatever the order; and a check that finds every kind of leak that is planted."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.errors import ConfigError, DataError
from pipeline.select.config import SplitConfig
from pipeline.select.split import Member, assign, check_leaks, components, same_words

STYLES = ("noto", "twemoji", "fxemoji")


def drawings(names: int = 200) -> list[Member]:
    """Every name in three styles, each a picture of its own."""
    return [
        Member(f"{style}-{n}", style, f"name {n}", f"name {n}", f"{style}{n}") for n in range(names) for style in STYLES
    ]


def split_of(config: SplitConfig, members: list[Member]) -> dict[str, str]:
    component = components(members)
    splits = assign(config, members, component)
    check_leaks(members, component, splits, {}, [])
    return {member.uid: split for member, split in zip(members, splits, strict=True)}


def member(uid: str, group: str, caption: str = "", image: str = "", corpus: str = "books") -> Member:
    return Member(uid, corpus, group, caption or f"caption {uid}", image or f"image {uid}")


def test_groups_are_linked_by_pictures_and_by_words() -> None:
    members = [
        member("1", "d", image="shared"),
        member("2", "b", image="shared"),
        member("3", "b", caption="The end."),
        member("4", "c", caption="the END"),
        member("5", "a"),
    ]
    assert components(members) == ["b", "b", "b", "b", "a"]


@pytest.mark.parametrize(("one", "other"), [("A cat.", "a  cat"), ("“Go!”", "go"), ("…", "…")])
def test_captions_that_say_the_same(one: str, other: str) -> None:
    assert same_words(one) == same_words(other)


def test_captions_that_do_not() -> None:
    assert len({same_words(caption) for caption in ("!", "?", "a cat", "a cat's", "a-cat")}) == 5


def test_a_name_is_asked_or_taught_in_all_styles_but_the_held_out_one() -> None:
    splits = split_of(SplitConfig(held_out="fxemoji", test=0.2, validation=0.1), drawings())
    for n in range(200):
        shown = {splits[f"{style}-{n}"] for style in ("noto", "twemoji")}
        held_out = splits[f"fxemoji-{n}"]
        assert (shown, held_out) in [
            ({"train"}, "test_style"),
            ({"test_names"}, "test_names"),
            ({"validation"}, "validation"),
        ]
    assert 0.1 < Counter(splits.values())["test_names"] / 600 < 0.3


def test_a_name_that_only_the_held_out_style_has_is_an_unknown_name() -> None:
    members = [*drawings(50), *(member(f"only {n}", f"only {n}", corpus="fxemoji") for n in range(50))]
    splits = split_of(SplitConfig(held_out="fxemoji"), members)
    assert {splits[f"only {n}"] for n in range(50)} == {"test_names", "validation"} or {
        splits[f"only {n}"] for n in range(50)
    } == {"test_names"}


def test_a_picture_that_another_corpus_has_too_is_of_no_style_of_its_own() -> None:
    members = drawings(50)
    members.append(Member("twin", "fxemoji", "name 1", "a second caption", "noto1"))
    splits = split_of(SplitConfig(held_out="fxemoji", test=0, validation=0), members)
    assert splits["twin"] == splits["noto-1"] == "train"
    assert splits["fxemoji-1"] == "test_style"


@given(st.permutations(range(30)), st.integers(0, 5))
def test_the_order_of_the_samples_changes_nothing(order: list[int], seed: int) -> None:
    members = drawings(10)
    config = SplitConfig(held_out="noto", test=0.3, validation=0.3, seed=seed)
    assert split_of(config, [members[place] for place in order]) == split_of(config, members)


def test_another_seed_is_another_split_and_new_names_leave_the_old_ones_in_place() -> None:
    few, many = split_of(SplitConfig(test=0.3), drawings(50)), split_of(SplitConfig(test=0.3), drawings(100))
    assert few == {uid: many[uid] for uid in few}
    assert few != split_of(SplitConfig(test=0.3, seed=1), drawings(50))


@pytest.mark.parametrize("seed", range(20))
def test_a_chain_of_groups_larger_than_what_is_asked_for_trains(seed: int) -> None:
    chain = [member(f"chain {n}", f"story {n // 2}", image=f"shared {(n + 1) // 2}") for n in range(60)]
    splits = split_of(SplitConfig(test=0.1, seed=seed), [*chain, *drawings(20)])
    assert {splits[f"chain {n}"] for n in range(60)} == {"train"}


def test_a_corpus_may_have_a_test_set_of_its_own() -> None:
    members = [*drawings(30), *(member(f"page {n}", f"story {n}") for n in range(100))]
    splits = split_of(SplitConfig(test=0.5, test_sets={"books": "test_stories"}), members)
    assert {splits[f"page {n}"] for n in range(100)} == {"train", "validation", "test_stories"}
    assert "test_stories" not in {splits[m.uid] for m in members if m.corpus != "books"}


def test_a_corpus_and_its_kinds_of_caption_may_have_shares_and_sets_of_their_own() -> None:
    pages = [
        Member(f"{kind} {n}", "books", f"story {n}", f"{kind} {n}", f"page {n}", kind)
        for n in range(200)
        for kind in ("text", "alt")
    ]
    config = SplitConfig(
        test=0.1, test_of={"books": 0.6}, test_sets={"books": "test_pages", "books/alt": "test_descriptions"}
    )
    splits = split_of(config, [*drawings(200), *pages])
    asked = Counter(splits[page.uid] for page in pages)
    assert asked["test_pages"] == asked["test_descriptions"] and 100 <= asked["test_pages"] <= 140
    assert {splits[f"alt {n}"] == "test_descriptions" for n in range(200) if splits[f"text {n}"] == "test_pages"} == {
        True
    }
    others = {uid: split for uid, split in splits.items() if not uid.startswith(("text", "alt"))}
    assert others == split_of(SplitConfig(test=0.1), drawings(200))


def test_a_held_out_corpus_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"select.split.held_out: no sample of a corpus openmoji is left"):
        split_of(SplitConfig(held_out="openmoji"), drawings(3))


LEAKS = {
    "pictures": [member("1", "a", image="x"), member("2", "b", image="x")],
    "pixels of pictures": [member("1", "a"), member("2", "b")],
    "near-duplicates": [member("1", "a"), member("2", "b")],
    "groups": [member("1", "a"), member("2", "a")],
    "captions": [member("1", "a", caption="A cat"), member("2", "b", caption="a cat.")],
}


@pytest.mark.parametrize("kind", LEAKS)
@pytest.mark.parametrize("asked", ["validation", "test_names", "test_stories"])
def test_every_kind_of_leak_is_found(kind: str, asked: str) -> None:
    members = LEAKS[kind]
    pixels = {"image 1": "same", "image 2": "same"} if kind == "pixels of pictures" else {}
    near = [("image 2", "image 1")] if kind == "near-duplicates" else []
    groups = [m.group for m in members]
    with pytest.raises(DataError, match=f"the split leaks: 1 {kind} stand on both sides"):
        check_leaks(members, groups, ["train", asked], pixels, near)
    check_leaks(members, groups, ["train", "train"], pixels, near)
    check_leaks(members, groups, [asked, asked], pixels, near)


def test_a_style_may_share_names_but_no_picture() -> None:
    check_leaks(LEAKS["groups"], ["a", "a"], ["train", "test_style"], {}, [])
    check_leaks(LEAKS["captions"], ["a", "b"], ["train", "test_style"], {}, [])
    with pytest.raises(DataError, match="1 pictures"):
        check_leaks(LEAKS["pictures"], ["a", "b"], ["train", "test_style"], {}, [])


def pages(corpora: Path) -> list[Member]:
    with (corpora / "picturebooks/urls.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [Member(row["id"], "picturebooks", row["group"], row["caption"], row["sha256"]) for row in rows]


def leaked(members: list[Member], splits: list[str]) -> float:
    """The share of the pictures that are asked for which are trained on as well."""
    asked = {m.image_sha256 for m, split in zip(members, splits, strict=True) if split != "train"}
    return len(asked & {m.image_sha256 for m, split in zip(members, splits, strict=True) if split == "train"}) / len(
        asked
    )


def test_a_naive_split_of_real_stories_leaks_and_ours_does_not(corpora: Path) -> None:
    members = pages(corpora)
    stories = sorted({m.group for m in members})
    asked = set(np.random.default_rng(0).choice(stories, len(stories) // 10, replace=False))
    naive = ["test_names" if m.group in asked else "train" for m in members]
    assert leaked(members, naive) > 0.2
    with pytest.raises(DataError, match=r"the split leaks: \d+ pictures stand on both sides"):
        check_leaks(members, [m.group for m in members], naive, {}, [])
    for seed in range(5):
        splits = split_of(SplitConfig(seed=seed), members)
        assert leaked(members, [splits[m.uid] for m in members]) == 0
        counts = Counter(splits.values())
        assert counts["train"] > 0.7 * len(members) and counts["test_names"] > 0 and counts["validation"] > 0


def test_the_held_out_style_is_asked_in_each_language_by_itself() -> None:
    members = [
        Member(f"{style}-{n}-{lang}", style, f"name {n}", f"{lang} {n}", f"{style} {n}", "", lang)
        for style in STYLES
        for n in range(50)
        for lang in ("sw", "fr")
    ]
    splits = split_of(SplitConfig(held_out="fxemoji", test=0.2, validation=0, by_language=True), members)
    asked = {split for uid, split in splits.items() if uid.startswith("fxemoji")}
    assert asked == {"test_style_sw", "test_style_fr", "test_names_sw", "test_names_fr"}
    assert all(split.endswith(uid[-2:]) for uid, split in splits.items() if split != "train")
    with pytest.raises(ValidationError, match="names from test_style on are those of the held-out corpus"):
        SplitConfig(test_sets={"fxemoji": "test_style_sw"})


def test_a_page_and_its_translations_fall_into_one_part_whatever_their_groups_and_corpora_are() -> None:
    members = [
        Member(f"{lang}-{story}-{page}", corpus, group, f"{lang} {story} {page}", f"picture {story} {page}", "", lang)
        for story in range(60)
        for page in range(4)
        for lang, corpus, group in (
            ("en", "books", f"story-{story}"),
            ("sw", "translations", f"story-{story}"),
            ("fr", "french", f"fr/{story}"),  # a list of its own that shares nothing but the pictures
        )
    ]
    splits = split_of(SplitConfig(test=0.2, validation=0.1, by_language=True), members)
    parts = {
        name: {splits[m.uid].removesuffix(f"_{m.lang}") for m in members if f"-{name}-" in m.uid} for name in "123"
    }
    assert all(len(part) == 1 for part in parts.values())
    assert set(splits.values()) == {"train", "validation", *(f"test_names_{lang}" for lang in ("en", "sw", "fr"))}
    planted = [*members, Member("sw-x", "other", "elsewhere", "another text", "picture 0 0", "", "sw")]
    component = [*components(members), "elsewhere"]
    sides = [splits[member.uid] for member in members]
    with pytest.raises(DataError, match="the split leaks: 1 pictures"):
        check_leaks(planted, component, [*sides, "test_names_sw" if sides[0] == "train" else "train"], {}, [])
