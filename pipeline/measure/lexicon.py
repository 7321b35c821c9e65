"""How common the words of a caption are (wordfreq's Zipf scale: log10 of occurrences in a billion words)."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.measure.caption import words_of
from pipeline.tables import read_columns, write_table

WORD_LIST = "best"  # the large list where a language has one


def lexicon_identity() -> dict[str, str]:
    """Return name and version of the frequency list."""
    return {"name": "wordfreq", "version": version("wordfreq"), "wordlist": WORD_LIST}


def write_lexicon_signals(samples: Path, path: Path) -> int:
    """Write ``lexicon.parquet``: ``zipf_mean``, ``zipf_min`` and ``coverage`` of every sample, sorted by uid.

    Words that the list does not know have no frequency; they lower ``coverage``, the share of words that it knows. A
    caption without any known word, or in a language without a list, has null frequencies.

    Returns:
        The number of samples in a language without a list.
    """
    import pyarrow as pa
    from wordfreq import available_languages

    columns = read_columns(samples, ["uid", "caption", "lang"])
    known = set(available_languages(WORD_LIST)) | {"und"}
    keys = list(zip(columns["caption"], columns["lang"], strict=True))
    measured = {key: frequencies(*key) if key[1] in known else {} for key in sorted(set(keys))}
    out: dict[str, Any] = {"uid": columns["uid"]}
    for name in ("zipf_mean", "zipf_min", "coverage"):
        out[name] = pa.array([measured[key].get(name) for key in keys], type=pa.float64())
    write_table(path, pa.table(out))
    return sum(lang not in known for _, lang in keys)


def frequencies(caption: str, lang: str) -> dict[str, float | None]:
    """Return the frequencies of a caption's words; ``und`` is looked up as English."""
    from wordfreq import zipf_frequency

    words = words_of(caption)
    scores = [zipf_frequency(word, "en" if lang == "und" else lang, wordlist=WORD_LIST) for word in words]
    found = [score for score in scores if score > 0]
    return {
        "zipf_mean": sum(found) / len(found) if found else None,
        "zipf_min": min(found) if found else None,
        "coverage": len(found) / len(words) if words else 0.0,
    }
