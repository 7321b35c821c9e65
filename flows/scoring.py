"""Scores of any model on anything: what ``essen evaluate MODEL --on …`` does."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pydantic

from essen.config import ScoreConfig
from flows.recipe import apply_override
from pipeline import files
from pipeline.config import explain
from pipeline.errors import ConfigError


def score_model(
    model: str, places: Sequence[Path], overrides: Iterable[str] = (), target: Path | None = None
) -> dict[str, Any]:
    """Return the record of a model's scores, and write it where that is asked for; see `essen.evaluate.score`.

    Args:
        model: folder of a model, or ``open_clip:NAME@WEIGHTS``.
        places: what it is scored on.
        overrides: ``key=value`` for `essen.config.ScoreConfig`.
        target: JSON file to write.

    Raises:
        ConfigError: a key is unknown or a value not possible.
    """
    values: dict[str, Any] = {}
    for override in overrides:
        apply_override(values, override)
    try:
        config = ScoreConfig.model_validate(values)
    except pydantic.ValidationError as error:
        raise ConfigError(f"--set {explain(error, ScoreConfig)}") from None
    from essen.evaluate.score import score

    record = score(model, places, config)
    if target is not None:
        files.write_json(target, record)
    return record
