"""African Storybook: stories in Markdown (``asp-source``) and their pictures (``asp-imagebank``), put side by side.

A story's file ``<lang>/<NNNN>_<slug>.md`` is ``# Title``, then pages, each opened by a line ``##``, then a list of
metadata. Its pictures are ``medium/<NNNN>/<PP>.jpg``: 01 is the cover, k + 1 goes with page k, one more is the back
cover. A story whose pictures are fewer than its pages, or more by three, has no known order.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.acquire.engines.story import Pair, collapsed, credit, decoded, open_licence

STORY_FILE = re.compile(r"(\d{4})[_.-].*\.md|(\d{4})\.md")
PAGE_BREAK = re.compile(r"^[ \t]*##[ \t]*$", re.M)
METADATA = re.compile(r"[ \t]*[*-][ \t]+[*_]*([^\W\d_][^:\n]{0,30}?)[*_ \t]*:[*_ \t]*(.*)")
PICTURE = re.compile(r"medium/(\d{4})/(\d{2,3})\.jpg")
PUBLISHER = "African Storybook"
ENGLISH = "en"
ALIGNED = (0, 1, 2)  # pictures minus pages; 0: the last page has no picture
ROLES = {
    "license": "licence",
    "licence": "licence",
    "text": "text",
    "author": "text",
    "written by": "text",
    "illustration": "illustration",
    "illustrations": "illustration",
    "illustrator": "illustration",
    "illustrated by": "illustration",
    "translation": "translation",
    "translator": "translation",
    "translated by": "translation",
    "adaptation": "adaptation",
    "adapted by": "adaptation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A story in one language.

    Attributes:
        file: its path in the repository.
        pages: their texts, white space collapsed; some are empty.
        metadata: ``licence``, ``text``, ``illustration``, ``translation``, ``adaptation``, as far as they are given.
        fault: why the file cannot be used, one word; empty otherwise.
    """

    file: str
    title: str = ""
    pages: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Who drew a story's pictures, and under which licence, as the table of the repository of pictures has it."""

    illustrator: str
    licence: str


Stories = Mapping[str, Mapping[str, Text]]


def read_stories(folder: Path, languages: Collection[str]) -> dict[str, dict[str, Text]]:
    """Return the texts by story and language, in order of stories; a file that is no story stands under its own name.

    Args:
        folder: checkout of ``asp-source``.
        languages: folders to read.
    """
    found: dict[str, dict[str, Text]] = {}
    for lang in languages:
        for path in sorted(path for path in (folder / lang).glob("*.md") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            match = STORY_FILE.fullmatch(path.name)
            if match is None:
                found[name] = {lang: Text(file=name, fault="not_a_story")}
                continue
            texts = found.setdefault(match[1] or match[2], {})
            if lang in texts:
                found[name] = {lang: Text(file=name, fault="duplicate_story")}
            else:
                texts[lang] = _read_text(path, name)
    return dict(sorted(found.items()))


def parse_text(content: str, file: str) -> Text:
    """Return a story's file as title, pages and metadata."""
    head, *sections = PAGE_BREAK.split(content)
    title = next((line.lstrip("#") for line in head.splitlines() if re.match(r"#[^#]|#$", line)), "")
    body, metadata = _split_metadata(sections[-1] if sections else "")
    last = [body] if sections and (body.strip() or not metadata) else []
    pages = (collapsed(section) for section in [*sections[:-1], *last])
    return Text(file=file, title=collapsed(title), pages=tuple(pages), metadata=metadata)


def read_table(content: str) -> dict[str, Drawn]:
    """Return illustrator and licence by story from the Markdown table of ``asp-imagebank``."""
    found: dict[str, Drawn] = {}
    columns: dict[str, int] = {}
    for line in content.splitlines():
        cells = [cell.strip(" \t*_") for cell in line.strip().strip("|").split("|")]
        names = [cell.casefold() for cell in cells]
        if "illustrator" in names:
            columns = {name: number for number, name in enumerate(names)}
        elif columns and len(cells) > 1 and (story := re.search(r"\b\d{4}\b", cells[0])):
            licence = columns.get("license", columns.get("licence", len(cells)))
            drawn = [cells[place] if place < len(cells) else "" for place in (columns["illustrator"], licence)]
            found.setdefault(story[0], Drawn(*drawn))
    return found


def pictures_by_story(paths: Collection[str]) -> dict[str, list[int]]:
    """Return the numbers of the pictures by story, from the paths of ``asp-imagebank``; other files are passed over."""
    found: dict[str, list[int]] = {}
    for path in paths:
        if match := PICTURE.fullmatch(path):
            found.setdefault(match[1], []).append(int(match[2]))
    return {story: sorted(numbers) for story, numbers in sorted(found.items())}


def not_open(stories: Stories, table: Mapping[str, Drawn]) -> dict[str, str]:
    """Return the stories that a text or the table puts under a licence other than CC-BY, each with that licence."""
    found: dict[str, str] = {}
    for story in sorted({*stories, *table}):
        english = stories.get(story, {}).get(ENGLISH, Text(file=""))
        named = [english.metadata.get("licence", ""), table[story].licence if story in table else ""]
        closed = [licence for licence in named if licence and not open_licence(licence)]
        if closed:
            found[story] = closed[0]
    return found


def pairs(
    stories: Stories, table: Mapping[str, Drawn], pictures: Mapping[str, Sequence[int]], languages: Sequence[str]
) -> Iterator[Pair]:
    """Yield every picture of every story with its text, a row for what has to be left out included.

    Args:
        stories: as `read_stories` gives them, the English ones included: they decide on the order of the pictures.
        pictures: numbers of each story's pictures, as `pictures_by_story` gives them.
        languages: those wanted, in the order of a story's rows.
    """
    for story, texts in stories.items():
        english = texts.get(ENGLISH)
        for lang in [lang for lang in languages if lang in texts]:
            text = texts[lang]
            refused = _refusal(story, text, english, table)
            if refused is None and not pictures.get(story):
                refused = ("no_pictures", f"the repository of pictures has none of story {story}")
            if refused is not None:
                reason, message = refused
                yield Pair(group=_group(story), file=text.file, lang=lang, reason=reason, message=message)
            else:
                yield from _pages(story, text, lang, table.get(story), pictures[story])


def _refusal(story: str, text: Text, english: Text | None, table: Mapping[str, Drawn]) -> tuple[str, str] | None:
    """Return why a story in a language is left out as a whole, as reason and message; None if it is not."""
    if text.fault:
        return text.fault, f"{text.file} is left out"
    if english is None or english.fault:
        return "no_english", "the order of the pictures is known from the English text alone"
    drawn = table.get(story)
    for what, licence in (
        (text.file, text.metadata.get("licence", "")),
        (english.file, english.metadata.get("licence", "")),
        ("the table of pictures", drawn.licence if drawn else "CC-BY"),
    ):
        if not open_licence(licence):
            return "licence", f"{what} has {licence or 'no licence'}"
    if len(text.pages) != len(english.pages):
        return "misaligned", f"{len(text.pages)} pages, the English text has {len(english.pages)}"
    return None


def _pages(story: str, text: Text, lang: str, drawn: Drawn | None, numbers: Sequence[int]) -> Iterator[Pair]:
    """Yield cover, pages and back covers of a story, from the first picture to the last page or picture."""
    licence = open_licence(text.metadata["licence"])
    attribution = credit(
        text.title or "Untitled",
        text=text.metadata.get("text", ""),
        adaptation=text.metadata.get("adaptation", ""),
        translation=text.metadata.get("translation", "") if lang != ENGLISH else "",
        illustration=text.metadata.get("illustration", "") or (drawn.illustrator if drawn else ""),
        publisher=PUBLISHER,
        licence=licence,
    )
    fault = _misaligned(numbers, len(text.pages))
    captions = dict(enumerate((text.title, *text.pages), start=1))
    common = Pair(group=_group(story), file=text.file, lang=lang, licence=licence, attribution=attribution)
    for number in range(1, max(len(captions), *numbers) + 1):
        kind = "cover" if number == 1 else "text" if number in captions else "back"
        pair = replace(common, picture=f"medium/{story}/{number:02d}.jpg", kind=kind, caption=captions.get(number, ""))
        if number not in numbers:
            yield replace(pair, reason="no_picture", message=f"the story has {len(numbers)} pictures")
        elif fault:
            yield replace(pair, reason="misaligned", message=fault)
        elif not pair.caption:
            yield replace(pair, reason="back_cover" if kind == "back" else "empty_caption")
        else:
            yield pair


def _misaligned(numbers: Sequence[int], pages: int) -> str:
    """Return why a story's pictures cannot be put beside its pages, empty if they can."""
    if list(numbers) != list(range(1, len(numbers) + 1)):
        return "the pictures are not numbered from 01 on without a gap"
    return "" if len(numbers) - pages in ALIGNED else f"{len(numbers)} pictures for {pages} pages"


def _group(story: str) -> str:
    return f"asp-{story}"


def _read_text(path: Path, name: str) -> Text:
    try:
        text = parse_text(decoded(path.read_bytes()), name)
    except UnicodeDecodeError:
        return Text(file=name, fault="not_utf8")
    return text if text.pages else Text(file=name, fault="no_pages")


def _split_metadata(section: str) -> tuple[str, dict[str, str]]:
    """Return what precedes the list of metadata at a section's end, and that list; a value may take several lines."""
    lines = section.splitlines()
    starts = [number for number, line in enumerate(lines) if _role(line)]
    if not starts:
        return section, {}
    found: dict[str, str] = {}
    role = ""
    for line in lines[starts[0] :]:
        if match := METADATA.match(line):
            role = _role(line)
            if role:
                found.setdefault(role, match[2].strip())
        elif role and line.strip():
            found[role] = f"{found[role]} {line.strip()}"
    return "\n".join(lines[: starts[0]]), {role: collapsed(value) for role, value in found.items()}


def _role(line: str) -> str:
    """Return what a line of metadata says, empty for another line."""
    match = METADATA.match(line)
    return ROLES.get(collapsed(match[1]).casefold(), "") if match else ""
