"""Scores of any model on anything: what ``essen evaluate MODEL --on …`` does."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from essen.config import ScoreConfig
from flows.recipe import with_overrides
from pipeline import files


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
    config = with_overrides(ScoreConfig, {}, overrides, origin="--set")
    from essen.evaluate.score import score

    record = score(model, places, config)
    if target is not None:
        files.write_json(target, record)
    return record
