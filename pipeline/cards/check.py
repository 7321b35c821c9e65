"""Whether the cards of what is published say all that they should, in the words that others know; needs no network.

Card, credits and Croissant description have no empty field; languages are BCP 47 tags and licences SPDX expressions;
the funnel, the exposure and every section are there; what is named is there too.
"""

import csv
import json
import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pipeline.cards.croissant import FILE as CROISSANT
from pipeline.cards.datacard import CARD
from pipeline.licences import HUB, licence_class

CREDITS = "ATTRIBUTION.csv"
GAP = "[More Information Needed]"
FIELDS = ("language", "license", "pretty_name", "size_categories", "task_categories", "tags", "configs")
MODEL_FIELDS = ("language", "license", "library_name", "pipeline_tag", "tags")
SECTIONS = ("Uses", "Structure", "Exposure", "Splits", "Source data", "Processing", "Licences", "Citation")
MODEL_SECTIONS = ("Model", "Use", "Training data", "Scores", "Limits", "Licence")
# Of Croissant's core, and of its fields for responsible AI, what a reader cannot do without.
DESCRIBED = (
    *("name", "description", "license", "version", "citeAs", "creator", "inLanguage", "distribution", "recordSet"),
    *("rai:dataCollection", "rai:dataBiases", "rai:dataLimitations", "rai:dataUseCases", "rai:dataSocialImpact"),
    *("rai:personalSensitiveInformation", "rai:dataPreprocessingProtocol", "rai:dataReleaseMaintenancePlan"),
)
SHOWN = 3  # empty values of one description that are named


def check_cards(folder: Path, names: Collection[str]) -> list[str]:
    """Return what is wrong with card, credits and Croissant description of published shards, one line each.

    Args:
        folder: of these three files.
        names: of all files that are published, relative to it.
    """
    problems = [f"{folder / name} is missing" for name in (CARD, CREDITS, CROISSANT) if not (folder / name).is_file()]
    if problems:
        return problems
    head, text = _card(folder / CARD)
    problems += _head(folder / CARD, head, FIELDS)
    for data in (data for entry in head.get("configs") or () for data in entry["data_files"]):
        for pattern in data["path"]:
            if not any(fnmatchcase(name, pattern) for name in names):
                problems.append(f"{folder / CARD}: configs name {pattern}, and there is no such file")
    problems += _text(folder / CARD, text, SECTIONS)
    if "| step | in | kept |" not in text and "No record of a filter" not in text:
        problems.append(f"{folder / CARD} has no funnel")
    return [*problems, *_credits(folder / CREDITS), *_description(folder / CROISSANT)]


def check_model_card(folder: Path) -> list[str]:
    """Return what is wrong with the card of a published model, one line each."""
    path = folder / CARD
    if not path.is_file():
        return [f"{path} is missing"]
    head, text = _card(path)
    problems = list(_head(path, head, MODEL_FIELDS))
    if (named := head.get("license_name")) and (fault := licence_fault(named)):
        problems.append(f"{path}: {fault}")
    return [*problems, *_text(path, text, MODEL_SECTIONS)]


def licence_fault(expression: str) -> str:
    """Return what is wrong with an SPDX expression; empty where nothing is. ``LicenseRef-…`` may be anything."""
    from license_expression import ExpressionError, ExpressionParseError, get_spdx_licensing

    if not expression.strip():
        return "a licence is empty"
    licensing = get_spdx_licensing()
    try:
        unknown = licensing.unknown_license_keys(licensing.parse(expression))
    except (ExpressionError, ExpressionParseError):
        return f"{expression!r} is no SPDX expression"
    named = [key for key in unknown if not key.startswith("LicenseRef-")]
    return f"{named[0]!r} is no SPDX identifier" if named else ""


def _card(path: Path) -> tuple[dict[str, Any], str]:
    """Return a card's YAML, empty where it has none, and its text."""
    import yaml

    _, head, text = ["", "", "", *path.read_text(encoding="utf-8").split("---\n", 2)][-3:]
    try:
        values = yaml.safe_load(head)
    except yaml.YAMLError:
        values = None
    return values if isinstance(values, dict) else {}, text


def _head(path: Path, head: Mapping[str, Any], needed: Collection[str]) -> Iterator[str]:
    import langcodes

    yield from (f"{path}: {name} is missing or empty" for name in needed if not head.get(name))
    yield from (f"{path}: {place} is empty" for place in _empty(dict(head), "") if place not in needed)
    for tag in _listed(head.get("language")):
        if not langcodes.tag_is_valid(tag):
            yield f"{path}: {tag!r} is no language tag (BCP 47)"
    licences = _listed(head.get("license"))
    yield from (f"{path}: hubs know no licence {name!r}" for name in licences if name not in HUB and name != "other")
    if "other" in licences and not head.get("license_name"):
        yield f"{path}: the licence is other, and license_name does not say which"


def _text(path: Path, text: str, sections: Collection[str]) -> Iterator[str]:
    if GAP in text:
        yield f"{path} still says {GAP}"
    plain = re.sub(r"^```.*?^```$", "-", text, flags=re.MULTILINE | re.DOTALL)  # comments of code are no titles
    _, *parts = re.split(r"^(#+) +(.+)$", plain, flags=re.MULTILINE)
    levels, titles, contents = [len(signs) for signs in parts[::3]], parts[1::3], parts[2::3]
    yield from (f"{path} has no section {title}" for title in sections if title not in titles)
    for title, content, level, following in zip(titles, contents, levels, [*levels[1:], 0], strict=True):
        if not content.strip() and following <= level:
            yield f"{path}: the section {title} is empty"


def _credits(path: Path) -> Iterator[str]:
    """Check the licence of every sample, each one once, but of those that are known to be unknown."""
    with path.open(newline="", encoding="utf-8") as file:
        found = {row["licence"]: row["uid"] for row in csv.DictReader(file)}
    for licence, uid in sorted(found.items()):
        if licence_class(licence) != "unknown" and (fault := licence_fault(licence)):
            yield f"{path}: {fault}, as of {uid}"


def _description(path: Path) -> Iterator[str]:
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        yield f"{path} is no JSON text"
        return
    content = {key: value for key, value in described.items() if key != "@context"}
    yield from (f"{path}: {name} is missing or empty" for name in DESCRIBED if not content.get(name))
    empty = [place for place in _empty(content, "") if place not in DESCRIBED]
    yield from (f"{path}: {place} is empty" for place in empty[:SHOWN])


def _empty(value: Any, place: str) -> Iterator[str]:
    """Yield the places of values that say nothing: empty texts, lists and objects, and null."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _empty(part, f"{place}.{key}" if place else key)
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from _empty(part, f"{place}[{number}]")
    elif value is None or (isinstance(value, str | dict | list) and not value):
        yield place


def _listed(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else [str(value)] if value else []
