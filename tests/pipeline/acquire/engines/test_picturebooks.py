"""Picture books from their repositories: every pair that is in them, and a reason for all that is left out."""

import shutil
from pathlib import Path

import pytest
from acquire_helpers import encoded, noise
from git_helpers import publish
from hypothesis import given
from hypothesis import strategies as st
from picturebooks_helpers import listed, write

from pipeline.acquire.card import Card, load_card
from pipeline.acquire.engines import asp, bookdash
from pipeline.acquire.engines.picturebooks import FOLDERS, availability, build_rows, find_checkouts, params
from pipeline.acquire.engines.story import open_licence
from pipeline.acquire.options import AcquireOptions
from pipeline.errors import ConfigError

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


@pytest.fixture
def card() -> Card:
    return load_card("picturebooks-source")


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
