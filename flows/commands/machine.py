"""Commands that set this machine up: to do what a Prefect server asks for, and to fetch with img2dataset."""

import sys
from typing import Annotated

import typer


def serve(
    recipe: Annotated[str, typer.Argument(help="what curate and train do where nobody says otherwise")] = "",
    cron: Annotated[str, typer.Option(help="when the recipe is run, e.g. '0 3 * * *' (default: when asked to)")] = "",
) -> None:
    """Offer curate, train and study on the Prefect server that PREFECT_API_URL names, until ended."""
    from flows.deployments import serve_flows

    serve_flows(recipe, cron)


def setup() -> None:
    """Build img2dataset's own environment; seconds when it is there already."""
    from pipeline.acquire.img2dataset.environment import ensure_environment

    print(ensure_environment(), file=sys.stderr)
