"""Picture books from sources of the ready list: the same pairs, credits and alignment as the list has."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from string import Template

import pytest
from picturebooks_helpers import listed, write

from pipeline.acquire.acquire import acquire
from pipeline.acquire.card import Card, load_card
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import read_raw
from pipeline.errors import ConfigError

KINDS = {"cover": "cover", "text": "page", "back": "back"}


@pytest.fixture
def card() -> Card:
    return load_card("picturebooks-source")


@pytest.fixture
def samples(corpora: Path) -> Path:
    return corpora / "picturebooks-source"


@pytest.fixture
def truth(corpora: Path, samples: Path) -> list[dict[str, object]]:
    """The pages of the ready list of which the sources are among the samples."""
    with (samples / "index.csv").open(newline="", encoding="utf-8") as file:
        stories = {row["story"] for row in csv.DictReader(file)}
    with (corpora / "picturebooks" / "pages.jsonl").open(encoding="utf-8") as file:
        pages = [json.loads(line) for line in file]
    return [page | {"group": f"{page['source']}-{page['story']}"} for page in pages if page["story"] in stories]


def test_samples_give_every_expected_pair_and_no_other(card: Card, samples: Path, corpora: Path) -> None:
    every = listed(card, samples)
    rows, groups = [row for row in every if not row.reason], {row.group for row in every}
    with (corpora / "picturebooks" / "urls.tsv").open(newline="", encoding="utf-8") as file:
        ready = [line for line in csv.DictReader(file, delimiter="\t") if line["group"] in groups]
    found = Counter((row.url, row.caption, row.group, row.category, row.licence) for row in rows)
    wanted = Counter(
        (line["url"], line["caption"], line["group"], line["kind"], card.spdx(line["licence"])) for line in ready
    )
    both = (found & wanted).total()
    precision, recall = both / found.total(), both / wanted.total()
    print(f"{both} pairs of {len(groups)} stories and books, precision {precision}, recall {recall}")
    assert (len(groups), both, precision, recall) == (35, 469, 1.0, 1.0)
    assert {row.lang for row in rows} == {"en"}


def test_every_picture_of_the_samples_has_its_text_role_and_alignment(
    card: Card, samples: Path, truth: list[dict[str, object]]
) -> None:
    rows = {row.url: row for row in listed(card, samples) if row.category in KINDS and row.reason != "no_picture"}
    found = {url: (row.caption, KINDS[row.category], row.reason != "misaligned") for url, row in rows.items()}
    assert found == {page["url"]: (page["text"], page["role"], page["aligned"]) for page in truth}
    alt = {row.url: row.caption for row in listed(card, samples) if row.category == "alt"}
    assert alt == {page["url"]: page["alt"] for page in truth if page["source"] == "bookdash"}
    assert len(found) == 459


def test_what_the_samples_leave_out_has_its_reason(card: Card, samples: Path) -> None:
    left_out = [row for row in listed(card, samples) if row.reason]
    assert Counter(row.reason for row in left_out) == {
        "misaligned": 33,  # the pictures of 0220 and 0282
        "back_cover": 15,
        "no_picture": 3,  # the last page of 0261, the last two of 0282
        "empty_caption": 2,  # page 5 of 0230, page 10 of A House for Mouse
    }
    assert {row.status for row in left_out} == {"excluded"}
    assert {row.group for row in left_out if row.reason == "misaligned"} == {"asp-0220", "asp-0282"}


@pytest.mark.parametrize(("lang", "pairs"), [("fr", 301), ("sw", 313), ("xh", 35), ("zu", 12)])
def test_translations_of_the_samples_stand_beside_the_same_pictures(
    card: Card, samples: Path, truth: list[dict[str, object]], lang: str, pairs: int
) -> None:
    rows = [row for row in listed(card, samples, languages=(lang,)) if not row.reason]
    assert {row.lang for row in rows} == {lang}
    assert len(rows) == pairs
    groups = {row.group for row in rows}
    wanted = {page["url"]: page["i18n"].get(lang, "") for page in truth if page["group"] in groups}  # type: ignore[attr-defined]
    wanted = {url: text for url, text in wanted.items() if text}
    if lang in ("fr", "sw"):  # of Xhosa and Zulu the ready list has none
        assert {row.url: row.caption for row in rows} == wanted
    else:
        assert {row.url for row in rows} <= {page["url"] for page in truth}


def test_a_translation_with_other_pages_is_one_row_that_says_so(card: Card, samples: Path) -> None:
    rows = [row for row in listed(card, samples, languages=("fr", "sw")) if row.group == "asp-0220"]
    assert [(row.lang, row.reason, row.category, row.caption) for row in rows] == [
        ("fr", "misaligned", "story", ""),
        ("sw", "misaligned", "story", ""),
    ]
    assert rows[0].error_message == "19 pages, the English text has 12"


def test_a_description_that_nobody_translated_is_left_out(card: Card, samples: Path) -> None:
    rows = [row for row in listed(card, samples, languages=("fr", "xh", "zu")) if row.category == "alt"]
    assert {row.reason for row in rows} == {"untranslated"}  # three are the English ones with a word changed


def test_credits_name_the_people_of_the_ready_list(card: Card, samples: Path, corpora: Path) -> None:
    template = Template('"$title" by $text_author$adapted, illustrated by $illustrator. $publisher, $licence')
    with (corpora / "picturebooks" / "ATTRIBUTION.csv").open(newline="", encoding="utf-8") as file:
        ready = {f"{line['source']}-{line['story']}": line for line in csv.DictReader(file)}
    for row in listed(card, samples):
        line = ready[row.group]
        adapted = f", adapted by {line['adaptation']}" if line["adaptation"] else ""
        assert row.attribution == template.substitute(line, adapted=adapted)


def test_credits_of_translations_name_the_translator(card: Card, samples: Path) -> None:
    rows = {(row.group, row.lang): row.attribution for row in listed(card, samples, languages=("fr", "sw", "zu"))}
    assert rows["asp-0001", "sw"] == (
        '"Mwanamume mrefu" by Cornelius Gulere, translated by Ursula Nafula, illustrated by Catherine Groenewald. '
        "African Storybook, CC-BY"
    )
    assert "translated by Pete Mhunzi, Translators without Borders, illustrated" in rows["asp-0261", "sw"]
    assert "translated by Nal'ibali, illustrated by" in rows["bookdash-a-fish-and-a-gift", "zu"]


def test_a_table_of_counts_must_hold_numbers(card: Card, samples: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(samples, tmp_path / "samples")
    index = copy / "index.csv"
    write(index, index.read_text(encoding="utf-8").replace("A very tall man,11,12,", "A very tall man,11,twelve,"))
    with pytest.raises(ConfigError, match="upstream_images of story 0001 is twelve, which is no number"):
        listed(card, copy)


def test_the_pictures_of_all_pairs_are_fetched(
    card: Card, samples: Path, corpora: Path, tmp_path: Path, img2dataset: Path
) -> None:
    mirror = corpora / "picturebooks"
    counts = acquire(card, AcquireOptions(list=samples, mirror=mirror), tmp_path)
    dropped = {"back_cover": 15, "empty_caption": 2, "misaligned": 33, "no_picture": 3}
    assert counts == {"in": 522, "kept": 469, "dropped": dropped}
    rows = [row for row, _ in read_raw(tmp_path / "raw" / "picturebooks-source")]
    with (mirror / "urls.tsv").open(newline="", encoding="utf-8") as file:
        ready = {(line["url"], line["caption"]): line["sha256"] for line in csv.DictReader(file, delimiter="\t")}
    assert all(row["sha256"] == ready[row["url"], row["caption"]] for row in rows)
    credits_of = {row["group"]: row["attribution"] for row in rows}
    assert credits_of["asp-0007"].startswith('"Looking for water" by Augustine Napagi, illustrated by Hélder de Paz')
