"""Why a signal has no value for captions in some languages, and what to do about it: half a sentence for a person."""

from collections.abc import Collection

from pipeline.measure.caption import NEEDS
from pipeline.measure.parsers import UNDECIDED, base_language
from pipeline.measure.wordlists import ENGLISH

ENGLISH_LISTS = (*ENGLISH, "visual", "auditory", "haptic")  # what their columns' names begin with


def why_absent(column: str, langs: Collection[str]) -> str:
    """Return why a column ``<signals file>.<column>`` is null, and the way out; empty where no language explains it.

    Args:
        column: that has no value.
        langs: of the captions that it has no value for.
    """
    file, _, name = column.partition(".")
    named = ", ".join(sorted(langs))
    if not langs or {base_language(lang) for lang in langs} & {"en", UNDECIDED}:
        return ""
    if file == "caption" and name in NEEDS:
        return (
            f"no tagger reads captions in {named} here; install a spaCy model for it (measure.spacy_models), or use "
            "caption.tokens or caption.rarity"
        )
    if file == "lexicon" and name in ("zipf_mean", "zipf_min", "coverage"):
        return f"wordfreq has no list for captions in {named}; use caption.rarity, or measure.own_lexicons"
    if file == "lexicon" and name.startswith(ENGLISH_LISTS):
        return f"this list is English, and captions are in {named}; use caption.rarity, or measure.own_lexicons"
    return ""
