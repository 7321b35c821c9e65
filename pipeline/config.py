"""The base of every configuration: immutable, unknown keys refused, and complaints that fit in one line."""

import difflib
import functools
import operator
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError


class Config(BaseModel):
    """Validated at the border (recipes, cards, command line); a plain value inside."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one complaint of a validation as one line: the key, what is wrong, the nearest known key.

    An unknown key comes first: where a key is misspelt, it explains why another one is missing.
    """
    complaints = error.errors(include_url=False, include_context=False)
    first = next((complaint for complaint in complaints if complaint["type"] == "extra_forbidden"), complaints[0])
    places = [str(part) for part in first["loc"]]
    fields, path = _walk(model, places)
    key = ".".join(path) or "the top level"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}{nearest(places[-1], fields)}"
    if first["type"] == "missing":
        return f"the key {key} is missing"
    if first["type"].startswith("union_tag"):
        return f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}"
    return f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}, got {first['input']!r}"


def nearest(key: str, known: Sequence[str]) -> str:
    """Return ``; did you mean …?`` for the known word closest to a mistyped one, or nothing."""
    match = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {match[0]}?" if match else ""


def _walk(model: type[BaseModel], places: Sequence[str]) -> tuple[list[str], list[str]]:
    """Follow a complaint's location through nested models.

    Returns:
        The field names of the innermost model, and the location without the tags of discriminated unions.
    """
    models, path = [model], []
    for place in places:
        tagged = [
            m for m in models if len(models) > 1 and any(place in _tags(field) for field in m.model_fields.values())
        ]
        if tagged:
            models = tagged
            continue
        path.append(place)
        if place.isdigit():  # the place in a list, whose entries' models have been found already
            continue
        fields = [m.model_fields[place] for m in models if place in m.model_fields]
        inner = [m for field in fields for m in _models_in(field.annotation)]
        if not inner:
            break
        models = inner
    return sorted(functools.reduce(operator.or_, (set(m.model_fields) for m in models))), path


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation allows: itself, the members of a union, the entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for member in get_args(annotation) for model in _models_in(member)]


def _tags(field: Any) -> tuple[Any, ...]:
    """Return the values of a literal field: the tags by which a union's members are told apart."""
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
