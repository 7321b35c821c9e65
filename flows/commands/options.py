"""What several commands share: their options and arguments, and how they end."""

import enum
import functools
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer


class Engine(enum.StrEnum):
    """Who runs the steps."""

    PREFECT = "prefect"
    LOCAL = "local"


RecipeArgument = Annotated[str, typer.Argument(help="a recipe file, or the name of one that comes with essen")]
RunArgument = Annotated[Path, typer.Argument(help="run directory")]
JsonOption = Annotated[bool, typer.Option("--json", help="print one machine-readable line at the end")]
MirrorOption = Annotated[
    Path | None,
    typer.Option(help="serve this folder on the loopback in place of the original hosts of URL lists"),
]
StagesOption = Annotated[
    str | None,
    typer.Option(help="staged shards to use in place of the run's own: a folder, or an address (s3://bucket/folder)"),
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What every command takes that does steps of a run; see `with_run_options`."""

    run_directory: Annotated[
        Path | None, typer.Option("--run", help="run directory (default: runs/<name of the recipe>)")
    ] = None
    mirror: MirrorOption = None
    engine: Annotated[
        Engine | None,
        typer.Option(help="run the steps as Prefect flows (default of run), or in this process (of all others)"),
    ] = None
    overrides: Annotated[list[str] | None, typer.Option("--set", help="override a recipe key: key.subkey=value")] = None
    as_json: JsonOption = False


def with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command as Typer reads it: the fields of `RunOptions` one by one, in place of ``options``."""
    own, shared = dict(inspect.signature(command).parameters), inspect.signature(RunOptions).parameters
    del own["options"]

    @functools.wraps(command)
    def called(**values: Any) -> None:
        options = RunOptions(**{name: values.pop(name) for name in shared})
        command(options=options, **values)

    called.__signature__ = inspect.Signature([*own.values(), *shared.values()])  # type: ignore[attr-defined]
    return called


def folder_at(place: str) -> Path:
    """Return a path as it is, and for an address the folder into which its staged shards are fetched."""
    from pipeline.addresses import is_url
    from pipeline.published import fetch_stages

    return fetch_stages(place) if is_url(place) else Path(place)


def finish(as_json: bool, values: dict[str, Any]) -> None:
    """Print the machine-readable line, if it was asked for."""
    if as_json:
        print(json.dumps(values, ensure_ascii=False, sort_keys=True))
