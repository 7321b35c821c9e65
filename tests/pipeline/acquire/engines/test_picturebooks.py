"""Picture books from their repositories: every pair that is in them, and a reason for all that is left out."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from string import Template

import pytest
from acquire_helpers import encoded, noise
from git_helpers import publish
from hypothesis import given
from hypothesis import strategies as st

from pipeline.acquire.acquire import acquire
from pipeline.acquire.card import Card, load_card
from pipeline.acquire.engines import asp, bookdash
from pipeline.acquire.engines.picturebooks import FOLDERS, availability, build_rows, find_checkouts, params
from pipeline.acquire.engines.story import open_licence
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import RawRow, read_raw
from pipeline.errors import ConfigError

KINDS = {"cover": "cover", "text": "page", "back": "back"}
STORY = """# {title}

##
One.

##
Two
lines.

##
* License: [CC-BY]
* Text: A. Writer
* Illustration: B. Painter
* Language: en
"""


def listed(card: Card, folder: Path, **changes: object) -> list[RawRow]:
    """The rows of a card with the checkouts in a folder, before anything is fetched."""
    source = card.source.model_copy(update=changes)
    options = AcquireOptions(list=folder)
    return list(build_rows(card, source, find_checkouts(card, source, options)))


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


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    """Three small checkouts: two stories of two pages with pictures, and a book."""
    root = tmp_path / "checkouts"
    for story, title in (("0001", "First"), ("0002", "Second")):
        write(root / f"asp-source/en/{story}_{title.lower()}.md", STORY.format(title=title))
        for number in (1, 2, 3):
            drawing = encoded(noise(int(story) * 10 + number), "JPEG")
            write(root / f"asp-imagebank/medium/{story}/{number:02d}.jpg", drawing)
    write(
        root / "asp-imagebank/README.md",
        "# Pictures\n\nID# | Title | Illustrator | License\n--- | --- | --- | ---\n"
        "0001 | _First_ | **B. Painter** | CC BY\n0002 | _Second_ | **B. Painter** | CC BY\n",
    )
    write(
        root / "bookdash-books/a-book/en/index.md",
        "---\ntitle: A Book\npublished: true\n---\n\n# A Book\n\n![A dog.]({{ site.image-set }}/01.jpg)\n\nIt *barks*."
        "\n\n![A cat.]({{ site.image-set }}/02.jpg)\n\nIt purrs.\n{:.end}\n",
    )
    write(root / "bookdash-books/_data/meta.yml", "titles:\n  a-book:\n    creator: C. Team # all\n    translations:\n")
    return root


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


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


def test_small_repositories_give_their_pairs(card: Card, repositories: Path) -> None:
    rows = listed(card, repositories)
    assert [(row.group, row.category, row.caption, row.licence) for row in rows] == [
        ("asp-0001", "cover", "First", "LicenseRef-CC-BY-unversioned"),
        ("asp-0001", "text", "One.", "LicenseRef-CC-BY-unversioned"),
        ("asp-0001", "text", "Two lines.", "LicenseRef-CC-BY-unversioned"),
        ("asp-0002", "cover", "Second", "LicenseRef-CC-BY-unversioned"),
        ("asp-0002", "text", "One.", "LicenseRef-CC-BY-unversioned"),
        ("asp-0002", "text", "Two lines.", "LicenseRef-CC-BY-unversioned"),
        ("bookdash-a-book", "text", "It barks.", "CC-BY-4.0"),
        ("bookdash-a-book", "alt", "A dog.", "CC-BY-4.0"),
        ("bookdash-a-book", "text", "It purrs.", "CC-BY-4.0"),
        ("bookdash-a-book", "alt", "A cat.", "CC-BY-4.0"),
    ]
    assert rows[-1].url.endswith("/bookdash/bookdash-books/gh-pages/a-book/en/images/02.jpg")
    assert rows[-1].attribution == '"A Book" by C. Team, illustrated by C. Team. Book Dash (bookdash.org), CC-BY-4.0'


def test_a_story_under_another_licence_is_one_row_without_its_text(card: Card, repositories: Path) -> None:
    story = repositories / "asp-source/en/0002_second.md"
    for words in ("[CC-BY-NC]", "CC BY-SA", "All rights reserved", ""):
        write(story, STORY.format(title="Second").replace("[CC-BY]", words))
        rows = [row for row in listed(card, repositories) if row.group == "asp-0002"]
        assert [(row.reason, row.status, row.caption, row.licence) for row in rows] == [
            ("licence", "excluded", "", "NOASSERTION")
        ]
        assert rows[0].error_message == f"en/0002_second.md has {words or 'no licence'}"
        assert rows[0].url.endswith("/global-asp/asp-source/master/en/0002_second.md")


def test_the_table_of_pictures_has_a_say_about_the_licence(card: Card, repositories: Path) -> None:
    table = repositories / "asp-imagebank/README.md"
    write(table, table.read_text().replace("_Second_ | **B. Painter** | CC BY", "_Second_ | **B. Painter** | CC BY-NC"))
    assert {row.reason for row in listed(card, repositories) if row.group == "asp-0002"} == {"licence"}


def test_the_english_licence_holds_for_translations_and_theirs_for_themselves(card: Card, repositories: Path) -> None:
    closed = STORY.format(title="Fermé").replace("[CC-BY]", "[CC-BY-NC]")
    write(repositories / "asp-source/fr/0001_ferme.md", closed)
    write(repositories / "asp-source/fr/0002_ouvert.md", STORY.format(title="Ouvert"))
    write(repositories / "asp-source/en/0002_second.md", closed)
    write(repositories / "asp-source/fr/0003_seul.md", STORY.format(title="Seul"))
    rows = listed(card, repositories, languages=("en", "fr"))
    assert {(row.group, row.lang, row.reason) for row in rows if row.group.startswith("asp")} == {
        ("asp-0001", "en", ""),
        ("asp-0001", "fr", "licence"),
        ("asp-0002", "en", "licence"),
        ("asp-0002", "fr", "licence"),
        ("asp-0003", "fr", "no_english"),
    }


def test_a_picture_that_also_stands_in_a_closed_story_is_left_out(card: Card, repositories: Path) -> None:
    write(repositories / "asp-source/en/0002_second.md", STORY.format(title="Second").replace("[CC-BY]", "[CC-BY-NC]"))
    bank = repositories / "asp-imagebank/medium"
    shutil.copy(bank / "0002/03.jpg", bank / "0001/02.jpg")
    rows = [row for row in listed(card, repositories) if row.group == "asp-0001"]
    assert [row.reason for row in rows] == ["", "also_non_commercial", ""]
    assert rows[1].error_message == "the same picture stands in story 0002, which is marked [CC-BY-NC]"


def test_without_checkouts_git_fetches_the_texts_and_the_pictures_names(
    card: Card, repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repositories / "asp-source/en/0002_second.md", STORY.format(title="Second").replace("[CC-BY]", "[CC-BY-NC]"))
    bank = repositories / "asp-imagebank/medium"
    shutil.copy(bank / "0002/03.jpg", bank / "0001/02.jpg")
    wanted = listed(card, repositories)
    monkeypatch.setenv("ESSEN_CACHE", str(tmp_path / "cache"))
    fetched = {}
    for key, name in FOLDERS.items():
        folder = repositories / name
        changes = {"commit": publish(folder), "url": folder.as_uri()}
        fetched[key] = getattr(card.source, key).model_copy(update=changes)
    source = card.source.model_copy(update=fetched)
    checkouts = find_checkouts(card, source, AcquireOptions())
    assert list(build_rows(card, source, checkouts)) == wanted
    assert "also_non_commercial" in {row.reason for row in wanted}
    assert not (checkouts.asp_imagebank / "medium").exists()
    shutil.rmtree(repositories)
    assert find_checkouts(card, source, AcquireOptions()) == checkouts


def test_the_card_and_a_list_of_stories_leave_out_more(card: Card, repositories: Path) -> None:
    write(repositories / "ready.csv", "group,url\nasp-0001,x\n")
    rows = listed(card, repositories, left_out={"asp-0001": (2,)}, only=str(repositories / "ready.csv"))
    assert [row.reason for row in rows] == ["", "left_out", "", *["not_listed"] * 7]


def test_strange_files_are_rows_and_never_stop_the_others(card: Card, repositories: Path) -> None:
    texts = repositories / "asp-source/en"
    write(texts / "0003_windows.md", b"\xef\xbb\xbf" + STORY.format(title="Three").replace("\n", "\r\n").encode())
    write(texts / "0004_latin.md", "# Té\n\n##\nà\n\n##\n* License: CC BY\n".encode("latin-1"))
    write(texts / "0005_empty.md", "")
    write(texts / "0006_no-metadata.md", "# Six\n\n##\nOne.\n")
    write(texts / "0007_spelling.md", "#Seven\n## \nOne.\n\n##\n\n##\n- **Licence**: [CC BY](https://x.org/by)\n")
    write(texts / "0008_no-pictures.md", STORY.format(title="Eight"))
    write(texts / "0001_once-more.md", STORY.format(title="Another"))
    write(texts / "README.md", "not a story")
    bank = repositories / "asp-imagebank/medium"
    for story in ("0003", "0007"):
        shutil.copytree(bank / "0001", bank / story)
    write(bank / "0003/cover.jpg", b"")
    write(bank / "notes.txt", b"")
    rows = [row for row in listed(card, repositories) if row.group[4:] not in ("0001", "0002")]
    assert [(row.group, row.category, row.caption, row.reason) for row in rows[:-4]] == [
        ("asp-0003", "cover", "Three", ""),
        ("asp-0003", "text", "One.", ""),
        ("asp-0003", "text", "Two lines.", ""),
        ("asp-0004", "story", "", "not_utf8"),
        ("asp-0005", "story", "", "no_pages"),
        ("asp-0006", "story", "", "licence"),
        ("asp-0007", "cover", "Seven", ""),
        ("asp-0007", "text", "One.", ""),
        ("asp-0007", "text", "", "empty_caption"),
        ("asp-0008", "story", "", "no_pictures"),
        ("asp-en/0001_once-more.md", "story", "", "duplicate_story"),
        ("asp-en/README.md", "story", "", "not_a_story"),
    ]


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        ((1, 2), ["", "", "no_picture"]),
        ((1, 2, 3), ["", "", ""]),
        ((1, 2, 3, 4), ["", "", "", "back_cover"]),
        ((1, 2, 3, 4, 5), ["misaligned"] * 5),
        ((1,), ["misaligned", "no_picture", "no_picture"]),
        ((1, 2, 4), ["misaligned", "misaligned", "no_picture", "misaligned"]),
    ],
)
def test_pages_are_put_beside_pictures_where_the_numbers_fit(
    card: Card, repositories: Path, pictures: tuple[int, ...], expected: list[str]
) -> None:
    bank = repositories / "asp-imagebank/medium/0001"
    shutil.rmtree(bank)
    for number in pictures:
        write(bank / f"{number:02d}.jpg", bytes([number]))
    assert [row.reason for row in listed(card, repositories) if row.group == "asp-0001"] == expected


def test_strange_books_are_rows_and_never_stop_the_others(card: Card, repositories: Path) -> None:
    books = repositories / "bookdash-books"
    book = (books / "a-book/en/index.md").read_text()
    write(books / "a-book/fr/index.md", book.replace("It *barks*.", "Il aboie.").replace("A dog.", "Un chien brun."))
    write(books / "a-book/xh/index.md", book.replace("02.jpg", "03.jpg"))
    write(books / "b-draft/en/index.md", book.replace("published: true", "published: false"))
    write(books / "c-closed/en/index.md", book)
    write(books / "d-empty/en/index.md", "# Nothing\n")
    write(books / "e-logo/en/index.md", book.replace("\r", "") + "\n![Logo](../../logo.svg)\n\nThe end.\n")
    write(books / "f-alone/fr/index.md", book)
    write(books / "_layouts/en/index.md", book)
    write(books / "_data/meta.yml", 'titles:\n  c-closed:\n    creator: X\n    rights: "CC BY-NC 4.0"\n  no:\n')
    rows = [row for row in listed(card, repositories, languages=("en", "fr", "xh")) if row.group[:4] == "book"]
    assert [(row.group[9:], row.lang, row.category, row.reason) for row in rows if row.reason] == [
        ("a-book", "fr", "alt", "untranslated"),
        ("a-book", "xh", "story", "misaligned"),
        ("b-draft", "en", "story", "unpublished"),
        ("c-closed", "en", "story", "licence"),
        ("d-empty", "en", "story", "no_pages"),
        ("e-logo", "en", "alt", "not_a_page"),
        ("f-alone", "fr", "story", "no_english"),
    ]
    assert [row.caption for row in rows if row.lang == "fr" and not row.reason] == [
        "Il aboie.",
        "Un chien brun.",
        "It purrs.",
    ]
    assert "The end." not in {row.caption for row in rows}


def test_a_book_without_credits_is_credited_to_its_publisher(card: Card, repositories: Path) -> None:
    shutil.rmtree(repositories / "bookdash-books/_data")
    assert listed(card, repositories)[-1].attribution == '"A Book". Book Dash (bookdash.org), CC-BY-4.0'


@pytest.mark.parametrize(
    ("words", "licence"),
    [
        ("[CC-BY]", "CC-BY"),
        ("CC BY", "CC-BY"),
        (" cc-by. ", "CC-BY"),
        ("[CC BY](https://creativecommons.org/licenses/by/3.0/)", "CC-BY"),
        ("[CC-BY 4.0]", "CC-BY-4.0"),
        ("Creative Commons Attribution 4.0 International License", "CC-BY-4.0"),
        ("[CC-BY-NC]", ""),
        ("CC BY NC", ""),
        ("CC-BY-SA 4.0", ""),
        ("CC BY-ND", ""),
        ("Creative Commons Attribution-NonCommercial", ""),
        ("", ""),
    ],
)
def test_only_cc_by_counts_as_open(words: str, licence: str) -> None:
    assert open_licence(words) == licence


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="#*-\r\x0b\x0c\x1c\x1d\x1e\x85"))))
def test_pages_come_back_as_they_were_written(pages: list[str]) -> None:
    content = "# T\n\n" + "".join(f"##\n{page}\n\n" for page in pages) + "##\n* License: CC BY\n* Text: Me\n"
    text = asp.parse_text(content, "en/0001_t.md")
    assert text.pages == tuple(" ".join(page.split()) for page in pages)
    assert (text.title, text.metadata) == ("T", {"licence": "CC BY", "text": "Me"})


@given(st.text(st.sampled_from("#*-: \n!()[]{}a0/.jpgLicense_")))
def test_no_text_stops_the_readers(content: str) -> None:
    assert asp.parse_text(content, "f").file == bookdash.parse_book(content, "f").file == "f"
    asp.read_table(content.replace("a", "|"))


def test_outcome_is_known_from_the_texts_and_pictures_alone(card: Card, repositories: Path, tmp_path: Path) -> None:
    before = params(card, card.source, AcquireOptions(list=repositories))
    moved = shutil.copytree(repositories, tmp_path / "elsewhere")
    assert params(card, card.source, AcquireOptions(list=moved)) == before
    story = moved / "asp-source/en/0001_first.md"
    write(story, story.read_text().replace("One.", "Once."))
    assert params(card, card.source, AcquireOptions(list=moved)) != before


def test_a_folder_without_a_checkout_is_named(card: Card, repositories: Path, tmp_path: Path) -> None:
    shutil.rmtree(repositories / "asp-imagebank")
    with pytest.raises(ConfigError, match=r"there is no checkout .*/asp-imagebank; put it there"):
        listed(card, repositories)
    source = card.source.model_copy(update={"checkouts": str(repositories)})
    assert availability(card, source) == f"folder {repositories / 'asp-imagebank'} is missing"


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
