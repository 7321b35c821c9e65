"""Personal data in captions: where it stands, and a fixed word in its place.

| kind | what is found | in its place |
| --- | --- | --- |
| ``e_mail`` | addresses, also as "name [at] host [dot] org" | ``[e-mail]`` |
| ``handle`` | ``@name``, and profile pages of social networks | ``[handle]`` |
| ``bank`` | payment cards (Luhn) and IBAN (ISO 13616), their check digits right | ``[number]`` |
| ``identity`` | US social security, UK national insurance, Brazilian CPF, Spanish DNI and NIE numbers | ``[number]`` |
| ``telephone`` | numbers that libphonenumber holds valid, and the North American form | ``[telephone]`` |
| ``street`` | house numbers with a street, in the forms of six languages; post boxes | ``[address]`` |
| ``child`` | the name that stands with an age below 18 in digits: "Anna, 6", "Tom (aged 7)" | ``[name]`` |

Patterns find what has a form. Names alone, streets without a number, and ages in words, which are part of every other
story, are left as they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from pipeline.config import Config
from pipeline.measure.personal_patterns import FINDERS

VERSION = 1  # raised when something else is found
Kind = Literal["e_mail", "handle", "bank", "identity", "telephone", "street", "child"]
KINDS: tuple[Kind, ...] = ("e_mail", "handle", "bank", "identity", "telephone", "street", "child")
WORDS: dict[Kind, str] = {
    "e_mail": "[e-mail]",
    "handle": "[handle]",
    "bank": "[number]",
    "identity": "[number]",
    "telephone": "[telephone]",
    "street": "[address]",
    "child": "[name]",
}


class PersonalConfig(Config):
    """What becomes of captions with personal data."""

    policy: Literal["redact", "flag", "drop", "off"] = Field(
        default="redact",
        description="redact: a fixed word in its place; flag: only the signal personal.hits says so; drop: no sample",
    )
    kinds: tuple[Kind, ...] = Field(default=KINDS, description="what is looked for")
    allow: tuple[str, ...] = Field(default=(), description="texts that are none, such as a publisher's address")


@dataclass(frozen=True, slots=True)
class Found:
    """A stretch of a text that is personal, in characters."""

    kind: Kind
    start: int
    end: int


def find_personal(text: str, kinds: Sequence[Kind] = KINDS, allow: Iterable[str] = ()) -> list[Found]:
    """Return what is personal in a text, in order; of two that overlap the one whose kind comes first in `KINDS`.

    Args:
        allow: what is found and is one of these texts, in any case, does not count.
    """
    allowed = {entry.casefold() for entry in allow}
    found: list[Found] = []
    for kind in KINDS:
        if kind not in kinds:
            continue
        for start, end in FINDERS[kind](text):
            free = all(end <= other.start or other.end <= start for other in found)
            if free and text[start:end].casefold() not in allowed:
                found.append(Found(kind, start, end))
    return sorted(found, key=lambda entry: entry.start)


def redacted(text: str, found: Sequence[Found]) -> str:
    """Return a text with the fixed word of its kind in the place of everything that was found in it."""
    for entry in sorted(found, key=lambda entry: -entry.start):
        text = text[: entry.start] + WORDS[entry.kind] + text[entry.end :]
    return text
