"""Why a signal has no value for captions in some languages, and what to do about it: half a sentence for a person."""

from collections.abc import Collection

from pipeline.measure.caption import NEEDS
from pipeline.measure.language import READ_AS_ENGLISH, base_language
from pipeline.measure.lexicon import frequency_list
from pipeline.measure.wordlists import ENGLISH, SENSES


def why_absent(column: str, langs: Collection[str]) -> str:
    """Return why a column ``<signals file>.<column>`` is null, and the way out; empty where no language explains it.

    Args:
        column: that has no value.
        langs: of the captions that it has no value for.
    """
    file, _, name = column.partition(".")
    named = ", ".join(sorted(langs))
    if not langs or not READ_AS_ENGLISH.isdisjoint(map(base_language, langs)):
        return ""
    if file == "caption" and name in NEEDS:
        return (
            f"no tagger reads captions in {named} here; install a spaCy model for it (measure.spacy_models), or use "
            "caption.tokens or caption.rarity"
        )
    if file == "lexicon" and name in ("zipf_mean", "zipf_min", "coverage"):
        unlisted = {lang: reason for lang in sorted(langs) if (reason := frequency_list(lang)[1])}
        reasons = " and ".join(sorted(set(unlisted.values())))
        hint = f"{reasons} for captions in {', '.join(unlisted)}; use caption.rarity, or measure.own_lexicons"
        return hint if unlisted else ""
    if file == "lexicon" and name.startswith((*ENGLISH, *SENSES)):
        return f"this list is English, and captions are in {named}; use caption.rarity, or measure.own_lexicons"
    return ""
