"""Which language a caption is in, where it is long enough to tell."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from typing import Any

LETTERS = 20  # "a cat" is Galician to a language identifier: shorter captions are never decided
CONFIDENCE = 0.9
UNDECIDED = "und"


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
