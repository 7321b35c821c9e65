"""Personal data in captions: what is found, what is not, and that a redacted caption is a sample like any other."""

import csv
import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_pictures import corpus, picture, row

from pipeline.files import sha256_bytes
from pipeline.measure.catalogue import write_catalogue
from pipeline.measure.personal import KINDS, WORDS, Found, PersonalConfig, find_personal, redacted
from pipeline.sample import sample_uid
from pipeline.tables import read_columns
from pipeline.workspace import check_funnel

PATTERNS = set(KINDS) - {"child"}
# Captions with one piece of personal data each, in forms of several countries, and as many look-alikes without any.
# Numbers are of the ranges that are kept for examples where a country has one.
with Path(__file__).with_name("personal_captions.tsv").open(newline="", encoding="utf-8") as table:
    CASES = [tuple(line.values()) for line in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)]
PLANTED = [case for case in CASES if case[0]]
CLEAN = [caption for kind, caption, _ in CASES if not kind]


def covered(caption: str, value: str, found: list[Found]) -> bool:
    start = caption.index(value)
    places = {place for entry in found for place in range(entry.start, entry.end)}
    return places.issuperset(range(start, start + len(value)))


def test_of_300_planted_and_300_clean_captions_nearly_all_are_told_apart() -> None:
    assert len(PLANTED) == len(CLEAN) == 300
    assert len(set(CLEAN)) == 300 and len({caption for _, caption, _ in PLANTED}) == 300
    planted, caught, right, wrong = Counter[str](), Counter[str](), 0, 0
    for kind, caption, value in PLANTED:
        found = find_personal(caption)
        planted[kind] += 1
        caught[kind] += covered(caption, value, found)
        start, end = caption.index(value), caption.index(value) + len(value)
        hits = sum(entry.start < end and entry.end > start for entry in found)
        right, wrong = right + hits, wrong + len(found) - hits
    wrong += sum(len(find_personal(caption)) for caption in CLEAN)
    assert sum(caught[kind] for kind in PATTERNS) >= 0.95 * sum(planted[kind] for kind in PATTERNS)
    assert all(caught[kind] >= 0.95 * planted[kind] for kind in KINDS)
    assert right >= 0.9 * (right + wrong)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("write to anna.schmidt@example.com, please", "write to [e-mail], please"),
        ("call +44 7700 900456 or (212) 555-0187 x12", "call [telephone] or [telephone]"),
        ("my daughter Anna Maria, 6, on a swing", "my daughter [name], 6, on a swing"),
        ("Tom (aged 7) at 12 Main Street", "[name] (aged 7) at [address]"),
        ("DE89 3704 0044 0532 0130 00 and 078-05-1120", "[number] and [number]"),
        ("@anna_k with https://www.tiktok.com/@mias_world", "[handle] with [handle]"),
        ("a 7 year old tree on 12 May 1975 for $1,299.99", "a 7 year old tree on 12 May 1975 for $1,299.99"),
    ],
)
def test_a_fixed_word_stands_in_its_place(caption: str, expected: str) -> None:
    assert redacted(caption, find_personal(caption)) == expected
    assert find_personal(expected) == []


@given(
    st.text(max_size=60) | st.lists(st.sampled_from([*CLEAN, *(c for _, c, _ in PLANTED)]), max_size=3).map(" ".join)
)
def test_what_is_found_is_apart_in_order_and_gone_afterwards(text: str) -> None:
    found = find_personal(text)
    assert all(entry.start < entry.end <= len(text) for entry in found)
    assert all(first.end <= second.start for first, second in itertools.pairwise(found))
    assert len(redacted(text, found)) == len(text) + sum(
        len(WORDS[entry.kind]) - (entry.end - entry.start) for entry in found
    )


def test_kinds_and_texts_can_be_left_out() -> None:
    caption = "Tom (aged 7), info@example.org, 12 Main Street"
    assert [entry.kind for entry in find_personal(caption, ("street", "e_mail"))] == ["e_mail", "street"]
    assert [entry.kind for entry in find_personal(caption, allow=["INFO@example.org"])] == ["child", "street"]


def test_no_page_of_the_picture_books_holds_any(corpora: Path) -> None:
    with (corpora / "picturebooks/urls.tsv").open(newline="", encoding="utf-8") as file:
        captions = [line["caption"] for line in csv.DictReader(file, delimiter="\t")]
    assert len(captions) == 3_773
    assert [caption for caption in captions if find_personal(caption)] == []


ROWS = [
    ("Tom (aged 7) and a kite", 1),
    ("Max (aged 7) and a kite", 1),
    ("[name] (aged 7) and a kite", 1),
    ("a red kite", 1),
    ("mail info@example.org or a@example.com", 2),
]


def catalogue(
    tmp_path: Path, policy: str
) -> tuple[dict[str, object], dict[str, list[object]], dict[str, list[object]]]:
    raw = corpus(tmp_path, "a", [row(caption, picture(seed), group=caption, url="test:") for caption, seed in ROWS])
    counts = write_catalogue(
        {"a": raw}, tmp_path / "samples.parquet", max_characters=100, personal=PersonalConfig(policy=policy)
    )
    check_funnel("measure", counts)
    return counts, read_columns(tmp_path / "samples.parquet"), read_columns(tmp_path / "personal.parquet")


def test_captions_are_redacted_before_they_have_a_uid(tmp_path: Path) -> None:
    counts, samples, personal = catalogue(tmp_path, "redact")
    assert counts["personal"] == {"child": 2, "e_mail": 2}
    assert (counts["kept"], counts["dropped"]) == (3, {"repeated_pair": 2})
    assert sorted(samples["caption"]) == ["[name] (aged 7) and a kite", "a red kite", "mail [e-mail] or [e-mail]"]
    for uid, image, caption in zip(samples["uid"], samples["image_sha256"], samples["caption"], strict=True):
        assert uid == sample_uid(str(image), str(caption))
    hits = dict(zip(samples["caption"], zip(*(personal[n] for n in ("kinds", "hits")), strict=True), strict=True))
    assert hits == {
        "[name] (aged 7) and a kite": (["child"], 1),
        "a red kite": ([], 0),
        "mail [e-mail] or [e-mail]": (["e_mail"], 2),
    }
    before = [sample_uid(sha256_bytes(picture(1)), f"{name} (aged 7) and a kite") for name in ("Tom", "Max")]
    assert sorted(before) in personal["raw_uids"]
    written = b"".join(path.read_bytes() for path in tmp_path.glob("*.parquet"))
    assert not any(word in written for word in (b"example.", b"Tom", b"Max"))


def test_they_are_flagged_dropped_or_left_alone_where_the_recipe_says_so(tmp_path: Path) -> None:
    counts, samples, personal = catalogue(tmp_path / "flag", "flag")
    assert (counts["kept"], counts["personal"]) == (5, {"child": 2, "e_mail": 2})
    assert sorted(samples["caption"]) == sorted(caption for caption, _ in ROWS)
    assert sorted(personal["hits"]) == [0, 0, 1, 1, 2] and not any(personal["raw_uids"])
    counts, samples, _ = catalogue(tmp_path / "drop", "drop")
    assert (counts["kept"], counts["dropped"]) == (2, {"personal_data": 3})
    assert b"example." not in (tmp_path / "drop/rejected.parquet").read_bytes()
    counts, samples, _ = catalogue(tmp_path / "off", "off")
    assert counts == {"in": 5, "kept": 5, "dropped": {}}


def test_a_redacted_sample_is_taken_down_by_its_own_uid(tmp_path: Path) -> None:
    from pipeline.acquire.raw import read_raw
    from pipeline.acquire.tombstones import Tombstones
    from pipeline.takedown import Targets, bury, resolve

    run = tmp_path / "run"
    raw = corpus(run, "a", [row(caption, picture(seed)) for caption, seed in ROWS])
    write_catalogue({"a": raw}, run / "signals/samples.parquet", max_characters=100, personal=PersonalConfig())
    uid = sample_uid(sha256_bytes(picture(1)), "[name] (aged 7) and a kite")
    stones = resolve(run, Targets(uid=(uid,)), Tombstones())
    assert stones.knows("uid", uid)
    bury(run, stones)
    assert [found["caption"] for found, _ in read_raw(raw)] == ["a red kite", ROWS[-1][0]]
