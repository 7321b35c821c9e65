"""The step that lays out a run as one page: a file that opens from disk and asks the network for nothing.

Every word on it comes from the run's own files and is escaped; a content policy forbids scripts and addresses besides.
A part whose input the run does not have is left out with a sentence that says so.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.errors import DataError
from pipeline.report.answers import set_name
from pipeline.report.calibration import read_calibration
from pipeline.report.catalogue import read_catalogue
from pipeline.report.concepts import read_concepts
from pipeline.report.config import ReportConfig
from pipeline.report.controls import read_controls
from pipeline.report.corpora import read_corpora
from pipeline.report.curriculum import read_curriculum, read_explanations
from pipeline.report.duplicates import read_duplicates
from pipeline.report.fits import read_fits
from pipeline.report.neighbours import read_neighbours
from pipeline.report.scores import read_scores
from pipeline.report.selection import read_funnel, read_galleries, read_safety
from pipeline.report.signals import read_signals
from pipeline.report.sources import read_licence_groups, read_sources, read_versions
from pipeline.report.stages import evaluation_sections, stage_sections
from pipeline.report.training import read_training
from pipeline.select.safety_config import SafetyConfig
from pipeline.workspace import Counts

if TYPE_CHECKING:
    import jinja2
    import markupsafe

TEMPLATE = "report.html.j2"


def report(config: ReportConfig, run: Path, out: Path) -> Counts:
    """Write ``reports/report.html`` from the files of a run.

    Args:
        config: how much is shown.
        run: the run directory that is read.
        out: the directory below which ``reports/`` is written.

    Returns:
        Counts with the page's ``bytes`` and ``pictures``.

    Raises:
        DataError: the run has no recipe, or its files contradict each other.
    """
    text = environment().get_template(TEMPLATE).render(page(config, run))
    data = text.encode()
    files.write_bytes(out / "reports/report.html", data)
    return {"bytes": len(data), "pictures": text.count("<img ")}


def page(config: ReportConfig, run: Path) -> dict[str, Any]:
    """Return what the template shows, part by part; a part that the run does not have is None or empty."""
    from pipeline.shards.read import open_stages

    recipe = _recipe(run)
    stages = open_stages(run / "stages") if (run / "stages/manifest.json").is_file() else None
    catalogue = read_catalogue(run)
    unsafe = catalogue.unsafe if catalogue else frozenset()
    contamination = run / "selection/contamination.json"
    sections = stage_sections(config, run, stages, unsafe) if stages else []
    return {
        "name": recipe["values"].get("name", "run"),
        "description": recipe["values"].get("description", ""),
        "recipe": recipe["text"],
        "stages": sections,
        "explanations": read_explanations(run, sections),
        "evaluation": evaluation_sections(config, stages, unsafe) if stages else [],
        "manifest": stages.manifest if stages else None,
        "curriculum": read_curriculum(run),
        "controls": read_controls(run),
        "concepts": read_concepts(config, run),
        "corpora": read_corpora(run),
        "funnel": read_funnel(run),
        "galleries": read_galleries(config, recipe["safety"], catalogue) if catalogue else [],
        "duplicates": read_duplicates(config, catalogue),
        "calibration": read_calibration(run),
        "contamination": files.read_json(contamination) if contamination.is_file() else None,
        "safety": read_safety(run, catalogue),
        "signals": read_signals(run),
        "fits": read_fits(config, run, catalogue),
        "neighbours": read_neighbours(config, run, catalogue),
        "training": read_training(config, run),
        "scores": read_scores(config, run, stages, unsafe),
        "sources": read_sources(stages) if stages else [],
        "licences": read_licence_groups(stages) if stages else [],
        "versions": read_versions(run),
    }


def environment() -> "jinja2.Environment":
    """Return the template environment: escapes everything, and stops at a name that is not there."""
    import jinja2

    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {"number": _number, "signed": _signed, "percent": _percent, "rank": _rank, "words": _words}
    env.filters |= {"breakable": _breakable, "set_name": set_name}
    return env


def _recipe(run: Path) -> dict[str, Any]:
    import pydantic
    import yaml

    path = run / "recipe.yaml"
    if not path.is_file():
        raise DataError(f"{run} holds no recipe.yaml; name a run directory")
    text = path.read_text(encoding="utf-8")
    values = yaml.safe_load(text) or {}
    try:
        safety = SafetyConfig.model_validate((values.get("select") or {}).get("safety") or {})
    except pydantic.ValidationError:
        raise DataError(f"{path} is of another version; run the recipe again") from None
    return {"text": text, "values": values, "safety": safety}


def _number(value: float) -> str:
    """Return a whole number with thin spaces between thousands, or a fraction with two digits."""
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    return f"{value:.2f}"


def _breakable(identifier: str) -> "markupsafe.Markup":
    """Return an identifier that a narrow column may break after a dot or an underscore."""
    import markupsafe

    return markupsafe.Markup("<wbr>").join(re.findall(r"[^._]*[._]?", identifier))


def _signed(value: float) -> str:
    """Return a number with two digits and a true minus sign."""
    return f"{value:.2f}".replace("-", "\u2212")


def _rank(value: float) -> str:
    """Return a median rank, which may lie half-way between two."""
    return _number(int(value)) if value == int(value) else f"{value:.1f}"


def _percent(share: float) -> str:
    """Return a share in per cent with as many digits as it deserves."""
    return f"{100 * share:.2f}" if 0 < share < 0.01 else f"{100 * share:.1f}"


def _words(identifier: str) -> str:
    """Return an identifier as people say it."""
    return identifier.replace("_", " ").replace("-", " ")
