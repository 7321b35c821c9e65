"""What several commands share: their options and arguments, and how they end."""

import enum
import json
from pathlib import Path
from typing import Annotated, Any

import typer


class Engine(enum.StrEnum):
    """Who runs the steps."""

    PREFECT = "prefect"
    LOCAL = "local"


RecipeArgument = Annotated[str, typer.Argument(help="a recipe file, or the name of one that comes with essen")]
RunOption = Annotated[Path | None, typer.Option("--run", help="run directory [default: runs/<name of the recipe>]")]
MirrorOption = Annotated[
    Path | None,
    typer.Option(help="serve this folder on the loopback in place of the original hosts of URL lists"),
]
EngineOption = Annotated[Engine, typer.Option(help="run the steps as Prefect flows, or in this process")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="override a recipe key: key.subkey=value")]
JsonOption = Annotated[bool, typer.Option("--json", help="print one machine-readable line at the end")]
RunArgument = Annotated[Path, typer.Argument(help="run directory")]
StagesOption = Annotated[
    str | None,
    typer.Option(help="staged shards to use in place of the run's own: a folder, or an address (s3://bucket/folder)"),
]


def known_run(run: Path) -> None:
    """Raise unless a directory is that of a run.

    Raises:
        ConfigError: it holds no recipe.
    """
    from pipeline.errors import ConfigError

    if not (run / "recipe.yaml").is_file():
        raise ConfigError(f"{run} is no run directory: it has no recipe.yaml")


def folder_at(place: str) -> Path:
    """Return a path as it is, and for an address the folder into which its staged shards are fetched."""
    from pipeline.addresses import is_url
    from pipeline.published import fetch_stages

    return fetch_stages(place) if is_url(place) else Path(place)


def finish(as_json: bool, values: dict[str, Any]) -> None:
    """Print the machine-readable line, if it was asked for."""
    if as_json:
        print(json.dumps(values, ensure_ascii=False, sort_keys=True))
