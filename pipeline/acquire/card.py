"""A data card: what a corpus is, under which licence, how it is obtained, and what is known to be wrong with it.

A card is a Markdown file with YAML front matter. Its ``source`` *is* the definition that acquisition reads, so the
text and what is fetched cannot drift apart.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from pipeline.acquire.sources import AnySource
from pipeline.config import Config, explain, nearest
from pipeline.errors import ConfigError

Imagery = Literal["drawings", "photographs", "mixed"]
CARDS = Path(__file__).resolve().parents[2] / "data_cards"


class FrontMatter(Config):
    """The YAML part of a card."""

    name: str = Field(description="names the corpus everywhere", pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str
    licence: str = Field(description="SPDX expression; the default of every row", pattern=r"^[A-Za-z0-9][\w.+() -]*$")
    licences: dict[str, str] = Field(default={}, description="the list's words for licences, mapped to SPDX")
    attribution: str = Field(description="the credit to give; the default of every row")
    homepage: str = ""
    language: str = Field(default="und", description="language code of the captions (ISO 639)")
    child_directed: bool = Field(description="made for children; such a corpus stops at any adult content")
    imagery: Imagery = Field(default="mixed", description="drawings, photographs, or both; decides on real children")
    redistributable: bool = Field(description="whether shards made of it may be passed on")
    size: str = Field(default="", description="how much there is, for a person")
    source: AnySource


class Card(FrontMatter):
    """A card as loaded: front matter, the Markdown text, and where the card lies."""

    body: str
    path: Path

    def spdx(self, licence: str) -> str:
        """Return the SPDX expression for the list's word for a licence; the card's own where there is none."""
        return self.licences.get(licence, licence) or self.licence


def load_card(name_or_path: str | Path) -> Card:
    """Load a card by the name of a built-in one, or from the path of a Markdown file.

    Raises:
        ConfigError: there is no such card, or it is not valid; the message names the key and the nearest match.
    """
    path = _locate(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"data card {path} cannot be read: {error}") from None
    values, body = _split(text, path)
    try:
        front = FrontMatter.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"data card {path}: {explain(error, FrontMatter)}") from None
    return Card(**{name: getattr(front, name) for name in FrontMatter.model_fields}, body=body, path=path)


def list_cards() -> list[Card]:
    """Return the built-in cards, sorted by name."""
    return [
        load_card(path) for path in sorted(CARDS.glob("*.md"), key=lambda path: path.stem) if path.name != "README.md"
    ]


def _locate(name_or_path: str | Path) -> Path:
    """Return the card's file; a name without a slash and without .md is one of the built-in cards."""
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".md") or "/" in text:
        path = Path(text)
        if not path.is_file():
            raise ConfigError(f"there is no data card {path}; give the path of a Markdown file with front matter")
        return path
    path = CARDS / f"{text}.md"
    if not path.is_file():
        names = sorted(file.stem for file in CARDS.glob("*.md"))
        raise ConfigError(f"there is no data card named {text}{nearest(text, names)}; known: {', '.join(names)}")
    return path


def _split(text: str, path: Path) -> tuple[Any, str]:
    """Return the parsed front matter and the Markdown after it."""
    import yaml

    lines = text.splitlines(keepends=True)
    fences = [number for number, line in enumerate(lines) if line.rstrip() == "---"]
    if len(fences) < 2 or fences[0] != 0:
        raise ConfigError(f"data card {path} has no front matter: YAML between two lines of --- at its very beginning")
    try:
        values = yaml.safe_load("".join(lines[1 : fences[1]]))
    except yaml.YAMLError as error:
        raise ConfigError(f"data card {path}: its front matter is not YAML: {' '.join(str(error).split())}") from None
    return values, "".join(lines[fences[1] + 1 :]).strip()
