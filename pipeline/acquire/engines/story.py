"""Picture-book stories as their repositories hold them: pairs of a picture and a text, licences, credits."""

import re
from dataclasses import dataclass

OPEN_LICENCE = re.compile(
    r"(?:CC[- ]?BY|CREATIVE COMMONS:? ATTRIBUTION)(?:[- ]?(\d\.\d))?(?: INTERNATIONAL)?(?: LICEN[CS]E)?"
)
ADDRESS = re.compile(r"\((?:https?:)?//[^)]*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One picture with one text, or a whole file that is left out.

    Attributes:
        group: the story, ``asp-0001`` or ``bookdash-a-house-for-mouse``.
        file: the text's file, as a path in its repository.
        picture: path in the repository of pictures; empty where the row stands for the whole file.
        caption: the text, white space collapsed.
        kind: ``cover`` (the caption is the title), ``text`` (the page's sentences), ``alt`` (a description of the
            picture), ``back`` (a back cover, without text), ``story`` (a whole file).
        lang: code of the caption's language, as its folder is named.
        licence: ``CC-BY`` or ``CC-BY-4.0``, as `open_licence` writes it; empty where it is none of these.
        attribution: the credit to give; empty for a whole file.
        reason: why the pair is left out, one word; empty for a pair that is wanted.
        message: details for a person.
    """

    group: str
    file: str
    picture: str = ""
    caption: str = ""
    kind: str = "story"
    lang: str = ""
    licence: str = ""
    attribution: str = ""
    reason: str = ""
    message: str = ""


def open_licence(words: str) -> str:
    """Return ``CC-BY`` or ``CC-BY-<version>`` for a licence in any of its spellings, empty for any other licence.

    ``[CC-BY]``, ``CC BY``, ``[CC BY](https://…)`` and ``cc-by 4.0`` are this licence; CC BY-NC, CC BY-SA and an absent
    one are not.
    """
    plain = collapsed(ADDRESS.sub(" ", words).translate(str.maketrans("[]_*", "    "))).rstrip(".").upper()
    match = OPEN_LICENCE.fullmatch(plain)
    return "" if match is None else f"CC-BY-{match[1]}" if match[1] else "CC-BY"


def credit(
    title: str,
    *,
    text: str,
    illustration: str,
    publisher: str,
    licence: str,
    adaptation: str = "",
    translation: str = "",
) -> str:
    """Return the credit of a story in one language; a role that nobody is named for is not mentioned."""
    roles = (
        ("by", text),
        ("adapted by", adaptation),
        ("translated by", translation),
        ("illustrated by", illustration),
    )
    named = ", ".join(f"{role} {name}" for role, name in roles if name)
    return f'"{title}"{" " if named else ""}{named}. {publisher}, {licence}'


def collapsed(text: str) -> str:
    """Return the text with every run of white space as one space."""
    return " ".join(text.split())


def decoded(data: bytes) -> str:
    """Return a text file's content with plain newlines and without a byte-order mark.

    Raises:
        UnicodeDecodeError: it is not in UTF-8.
    """
    return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
