"""Languages: what a tag says, and which one a caption is in, where it is long enough to tell."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from typing import Annotated, Any

from pydantic import Field

LETTERS = 20  # "a cat" is Galician to a language identifier: shorter captions are never decided
CONFIDENCE = 0.9
UNDECIDED = "und"
READ_AS_ENGLISH = frozenset({"en", UNDECIDED})  # what English models and lists are for
# A key of a configuration; with a script or a country behind it, it would say more than anything asks for.
BaseLanguage = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


def base_language(lang: str) -> str:
    """Return the language of a tag (BCP 47) without script and country: ``pt-BR`` is ``pt``, ``sr-Latn`` is ``sr``."""
    return lang.replace("_", "-").partition("-")[0].lower()


def language_identity() -> dict[str, Any]:
    """Return name, version and thresholds of the identifier."""
    return {"name": "py3langid", "version": version("py3langid"), "letters": LETTERS, "confidence": CONFIDENCE}


def detect_languages(captions: Iterable[str]) -> list[str]:
    """Return the language of each caption (ISO 639-1 where there is one), ``und`` where it is not decided.

    A caption of fewer than 20 letters is not decided, nor one of which the identifier is less than 90 % sure.
    """
    return [_detect(caption) for caption in captions]


def letters_in(caption: str) -> int:
    """Return the number of letters of a caption, in any script."""
    return sum(character.isalpha() for character in caption)


def _detect(caption: str) -> str:
    if letters_in(caption) < LETTERS:
        return UNDECIDED
    language, confidence = _identifier().classify(caption)
    return str(language) if confidence >= CONFIDENCE else UNDECIDED


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
