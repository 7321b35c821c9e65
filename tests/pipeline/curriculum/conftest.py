"""A run with the columns that every order can ask for: words, phrases and pages of two stories."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.select.kept import FILE
from pipeline.tables import write_table

# caption, corpus, group, category, content words by part of speech, split
ROWS: list[tuple[str, str, str, str, dict[str, list[str]], str]] = [
    ("dog", "words", "dog", "animals", {"nouns": ["dog"]}, "train"),
    ("dog", "words", "dog", "animals", {"nouns": ["dog"]}, "train"),
    ("cat", "words", "cat", "animals", {"nouns": ["cat"]}, "train"),
    ("red ball", "words", "ball", "toys", {"nouns": ["ball"], "adjectives": ["red"]}, "train"),
    ("ball", "words", "ball", "toys", {"nouns": ["ball"]}, "train"),
    ("zebra", "words", "zebra", "animals", {"nouns": ["zebra"]}, "test_names"),
    ("The dog sees a ball.", "tales", "b-story", "", {"nouns": ["dog", "ball"], "verbs": ["see"]}, "train"),
    ("The cat sees the dog.", "tales", "b-story", "", {"nouns": ["cat", "dog"], "verbs": ["see"]}, "train"),
    ("The ball is red!", "tales", "b-story", "", {"nouns": ["ball"], "adjectives": ["red"]}, "train"),
    ("Run, run, run away, said the old giraffe to the moon.", "tales", "a-story", "", {}, "train"),
    ("A lantern swings above quiet water and a boat.", "tales", "a-story", "", {}, "train"),
    ("Up we go.", "tales", "a-story", "", {"verbs": ["go"]}, "train"),
]
ROWS[9][4].update({"nouns": ["giraffe", "moon"], "verbs": ["run", "say"], "adjectives": ["old"]})
ROWS[10][4].update({"nouns": ["lantern", "water", "boat"], "verbs": ["swing"], "adjectives": ["quiet"]})


def make_word_run(run: Path) -> Path:
    """Write signals/ and selection/kept.parquet; uid number n stands at place n of its corpus, in shuffled uids."""
    uid = [f"{(7 * number) % len(ROWS):032x}" for number in range(len(ROWS))]
    rank = sorted(range(len(ROWS)), key=lambda row: uid[row])

    def table(path: str, **columns: list[Any]) -> None:
        write_table(run / path, {name: [values[row] for row in rank] for name, values in columns.items()})

    captions, corpora, groups, categories, words, splits = (list(column) for column in zip(*ROWS, strict=True))
    text = {"caption": captions, "corpus": corpora, "group": groups, "category": categories}
    raw = {"raw_shard": [f"raw/{c}/00000.tar" for c in corpora], "raw_offset": [512 * n for n in range(len(ROWS))]}
    table("signals/samples.parquet", uid=uid, **text, **raw)
    lists = {kind: [row.get(kind, []) for row in words] for kind in ("nouns", "verbs", "adjectives")}
    tokens = [len(caption.split()) for caption in captions]
    heads = [row["nouns"][0] if row.get("nouns") else None for row in words]
    table("signals/caption.parquet", uid=uid, tokens=tokens, parse_depth=tokens, head_noun=heads, **lists)
    zipf = [7.0 - count / 4 for count in tokens]
    table("signals/lexicon.parquet", uid=uid, zipf_mean=zipf, zipf_min=zipf)
    table("signals/image.parquet", uid=uid, clutter=[float(n) for n in range(len(ROWS))], regions=[3] * len(ROWS))
    scores = [None if n == 3 else n / len(ROWS) for n in range(len(ROWS))]
    table("signals/alignment.parquet", uid=uid, score=scores, rank=scores)
    table(FILE, uid=uid, **text, split=splits, caption_uid=uid, picture_uid=uid)
    return run


@pytest.fixture
def word_run(tmp_path: Path) -> Path:
    """The run above; it may be changed."""
    return make_word_run(tmp_path / "word_run")


@pytest.fixture
def uid_of() -> Callable[[int], str]:
    """The uid of a row of `ROWS`."""
    return lambda number: f"{(7 * number) % len(ROWS):032x}"
