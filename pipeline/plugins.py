"""A person's own function, named in a recipe as ``module:function``: the place for what the project does not bring."""

import importlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import ConfigError


@cache
def load_plugin(name: str) -> Callable[..., Any]:
    """Return a function by its name.

    Args:
        name: ``package.module:function``, importable from where ``essen`` runs.

    Raises:
        ConfigError: there is none of that name.
    """
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        raise ConfigError(f"the plug-in {name!r} is not named as module:function")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"the plug-in {name} cannot be loaded: {error}; install it, or put it on PYTHONPATH"
        ) from None
    if not callable(found):
        raise ConfigError(f"the plug-in {name} is not a function")
    return found


def plugin_identity(name: str) -> dict[str, str]:
    """Return name and sha256 of the file that a plug-in's function stands in: part of what decides an outcome.

    What that file imports, weights above all, is not part of it; a new name for new weights makes them one.

    Raises:
        ConfigError: there is none of that name.
    """
    module = inspect.getmodule(load_plugin(name))
    file = getattr(module, "__file__", None)
    return {"plugin": name, "sha256": files.sha256_file(Path(file)) if file else ""}
