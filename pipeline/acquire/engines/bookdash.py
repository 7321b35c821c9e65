"""Book Dash: books in Markdown with their pictures linked page by page, each with a description written by people.

A book's file ``<book>/<lang>/index.md`` is YAML front matter, ``# Title``, then for each page
``![description]({{ site.image-set }}/NN.jpg)`` and the page's text up to the next picture. ``_data/meta.yml`` has the
makers, rights and translators of each book.
"""

import difflib
import html
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.acquire.engines.story import Pair, collapsed, credit, decoded, open_licence
from pipeline.errors import ConfigError

FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$\n?", re.S | re.M)
UNPUBLISHED = re.compile(r"^published:[ \t]*[\"']?(?:false|no)\b", re.M | re.I)
TITLE = re.compile(r"^#[ \t]+(.+)$", re.M)
LINK = re.compile(r"!\[((?:\\.|\[[^\]]*\]|[^\[\]\\])*)\]\(\s*((?:\{\{[^}]*\}\}|[^()\s])*)[^)]*\)")
PAGE = re.compile(r"(?:\{\{[^}]*\}\}|(?:\./)?images)/((\d{1,3})\.jpe?g)")
MARKUP = re.compile(r"<!--.*?-->|\{[:%][^}\n]*\}|</?[A-Za-z][^>]*>|\\\\[ \t]*$|^#+[ \t]", re.S | re.M)
EMPHASIS = re.compile(r"(?<![\w*_\\])([*_]{1,3})(?=\S)(.+?)(?<=\S)\1(?![\w*_])", re.S)
ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!|<>-])")
RIGHTS = re.compile(r"Creative Commons Attribution[- ](\d\.\d)", re.I)
PUBLISHER = "Book Dash (bookdash.org)"
LICENCE = "CC-BY-4.0"
ENGLISH = "en"
SAME_WORDS = 0.7  # share of common letters, in order


@dataclass(frozen=True, slots=True)
class Page:
    """One linked picture: its file name, its description and the text that follows it; `number` 0 for another link."""

    name: str
    number: int
    alt: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A book in one language; `fault` says in one word why it cannot be used."""

    file: str
    title: str = ""
    pages: tuple[Page, ...] = ()
    fault: str = ""


def read_books(folder: Path, languages: Collection[str]) -> dict[str, dict[str, Book]]:
    """Return the books by name and language, in order of names.

    Args:
        folder: checkout of ``bookdash-books``.
        languages: folders of a book to read.
    """
    found: dict[str, dict[str, Book]] = {}
    for path in sorted(folder.glob("[!._]*/*/index.md")):
        name, lang, _ = path.relative_to(folder).parts
        if lang in languages:
            found.setdefault(name, {})[lang] = _read_book(path, f"{name}/{lang}/index.md")
    return dict(sorted(found.items()))


def parse_book(content: str, file: str) -> Book:
    """Return a book's file as title and pages."""
    front = FRONT_MATTER.match(content)
    body = content[front.end() :] if front else content
    links = list(LINK.finditer(body))
    starts = [*(link.start() for link in links), len(body)]
    title = TITLE.search(body[: starts[0]])
    pages = tuple(_page(link, body[link.end() : end]) for link, end in zip(links, starts[1:], strict=True))
    fault = "unpublished" if front and UNPUBLISHED.search(front[1]) else ""
    fault = fault or ("" if any(page.number for page in pages) else "no_pages")
    return Book(file=file, title=plain(title[1]) if title else "", pages=pages, fault=fault)


def plain(text: str) -> str:
    """Return kramdown as plain text on one line: without attributes, tags, emphasis and escapes."""
    text = MARKUP.sub(" ", text)
    text = EMPHASIS.sub(r"\2", text)
    return collapsed(html.unescape(ESCAPED.sub(r"\1", text)))


def read_meta(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Return the entries of ``_data/meta.yml`` by book, every value as text.

    Raises:
        ConfigError: a file is not YAML.
    """
    import yaml

    found: dict[str, dict[str, Any]] = {}
    for path in files:
        try:
            # The base loader leaves scalars as text: the language code `no` is no truth value. No objects are made.
            content = yaml.load(decoded(path.read_bytes()), Loader=yaml.BaseLoader)  # noqa: S506
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not YAML: {collapsed(str(error))}; take it from the repository") from None
        titles = content.get("titles") if isinstance(content, dict) else None
        entries = titles.items() if isinstance(titles, dict) else ()
        found |= {str(book): entry for book, entry in entries if isinstance(entry, dict)}
    return found


def pairs(
    books: Mapping[str, Mapping[str, Book]],
    meta: Mapping[str, Mapping[str, Any]],
    pictures: Collection[str],
    languages: Sequence[str],
) -> Iterator[Pair]:
    """Yield the text and the description of every linked picture, a row for what has to be left out included.

    Translations stand beside the pictures of the English book, which they link by the same numbers.

    Args:
        pictures: paths of the pictures in the repository; empty where they are not known.
        languages: those wanted, in the order of a book's rows.
    """
    for name, texts in books.items():
        english = texts.get(ENGLISH, Book(file="", fault="missing"))
        for lang in [lang for lang in languages if lang in texts]:
            book, entry = texts[lang], meta.get(name, {})
            common = Pair(group=f"bookdash-{name}", file=book.file, lang=lang)
            refused = _refusal(book, english, entry)
            if refused is not None:
                reason, message = refused
                yield replace(common, reason=reason, message=message)
                continue
            common = replace(common, licence=LICENCE, attribution=_credit(book, english, lang, entry))
            yield from _pages(common, f"{name}/{ENGLISH}/images", book, english, pictures)


def _refusal(book: Book, english: Book, entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return why a book in a language is left out as a whole, as reason and message; None if it is not."""
    if book.fault:
        return book.fault, f"{book.file} is left out"
    if english.fault:
        return "no_english", "the pictures are those of the English book"
    rights = str(entry.get("rights") or "")
    if rights and not _is_open(rights):
        return "licence", f"_data/meta.yml has the rights {rights[:120]}"
    own, theirs = _numbers(book), _numbers(english)
    if own != theirs:
        return "misaligned", f"it links {len(own)} pictures, the English book {len(theirs)}, or in another order"
    return None


def _pages(common: Pair, folder: str, book: Book, english: Book, pictures: Collection[str]) -> Iterator[Pair]:
    """Yield text and description of every page, and a row for every link that is no page."""
    known = any(path.startswith(f"{folder}/") for path in pictures)
    originals = iter([page for page in english.pages if page.number])
    for page in book.pages:
        if not page.number:
            yield replace(common, kind="alt", caption=page.alt, reason="not_a_page", message=f"it links {page.name}")
            continue
        original = next(originals)
        picture = f"{folder}/{original.name}"
        missing = "no_picture" if known and picture not in pictures else ""
        untranslated = "untranslated" if book is not english and _same_words(page.alt, original.alt) else ""
        for kind, caption, fault in (("text", page.text, ""), ("alt", page.alt, untranslated)):
            reason = missing or ("" if caption else "empty_caption") or fault
            yield replace(common, picture=picture, kind=kind, caption=caption, reason=reason)


def _page(link: re.Match[str], text: str) -> Page:
    page = PAGE.fullmatch(link[2])
    name, number = (page[1], int(page[2])) if page else (link[2], 0)
    return Page(name, number, plain(link[1]), plain(text))


def _numbers(book: Book) -> list[int]:
    return [page.number for page in book.pages if page.number]


def _same_words(alt: str, english: str) -> bool:
    """Tell whether a description is the English one, perhaps with a word changed; a translation shares but names."""
    return difflib.SequenceMatcher(None, alt, english, autojunk=False).ratio() >= SAME_WORDS


def _is_open(rights: str) -> bool:
    """Tell whether a statement of rights is CC BY 4.0, in words or as a licence's name."""
    match = RIGHTS.search(rights)
    return open_licence(rights) == LICENCE or (match is not None and match[1] == "4.0")


def _credit(book: Book, english: Book, lang: str, entry: Mapping[str, Any]) -> str:
    """Return the credit; a team is named together, as writers and as illustrators."""
    team = collapsed(str(entry.get("creator") or ""))
    contributor = collapsed(str(entry.get("contributor") or ""))
    translations = entry.get("translations")
    translation = translations.get(lang) if isinstance(translations, Mapping) else None
    translator = translation.get("translator") if isinstance(translation, Mapping) else None
    return credit(
        book.title or english.title or "Untitled",
        text=team,
        translation=collapsed(str(translator or "")),
        illustration=team,
        publisher="; ".join(filter(None, (PUBLISHER, contributor))),
        licence=LICENCE,
    )


def _read_book(path: Path, file: str) -> Book:
    try:
        return parse_book(decoded(path.read_bytes()), file)
    except UnicodeDecodeError:
        return Book(file=file, fault="not_utf8")
