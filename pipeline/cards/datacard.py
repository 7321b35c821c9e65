"""The data card of what a run has made, written from the run's own records and nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.cards.clip_benchmark import FOLDER as CLIP_BENCHMARK
from pipeline.cards.config import CardConfig
from pipeline.cards.croissant import CROISSANT_FILES, write_croissant
from pipeline.cards.facts import Source, gather
from pipeline.cards.open_clip import SCRIPT, train_data, training_script
from pipeline.cards.responsible import NO_USES
from pipeline.licences import hub_licence
from pipeline.select.kept import read_kept
from pipeline.workspace import Counts

if TYPE_CHECKING:
    import pyarrow as pa

CARD = "README.md"
MODELS = "models"
TEMPLATE = Path(__file__).with_name("datacard.md.jinja")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write_cards(config: CardConfig, run: Path, out: Path, *, sources: Sequence[Source] = ()) -> Counts:
    """Write what describes the staged shards of a run, below ``card/``.

    ``README.md`` is the data card, ``croissant.json`` with ``samples.parquet`` the same for machines,
    ``ATTRIBUTION.csv`` the credits, ``train_open_clip.sh`` a script. Reads the records of the steps, ``stages/``,
    ``curriculum/summary.json``, ``selection/funnel.json`` and ``kept.parquet``, and ``signals/sources.json``. The paths
    in the card's YAML are relative to the run directory, those in the other files to themselves;
    `pipeline.publish.publish` writes files of its own.

    Raises:
        DataError: the shards hold a sample that the signals do not know.
    """
    from pipeline.shards.read import open_stages

    stages = open_stages(run / "stages")
    facts = gather(config, run, stages.manifest, staged_rows(run), sources)
    tables = {part.entry["path"]: part.table for part in (*stages.stages, *stages.evaluation.values())}
    describe(facts, tables, out / "card", folder="../stages/", yaml_folder="stages/")
    files.write_bytes(out / "card/ATTRIBUTION.csv", (run / "stages/ATTRIBUTION.csv").read_bytes())
    return {
        "samples": facts["samples"],
        "licences": facts["licences"],
        "most_restrictive": facts["most_restrictive"],
        "publishable": not facts["obstacles"],
    }


def describe(
    facts: dict[str, Any], tables: "Mapping[str, pa.Table]", out: Path, *, folder: str = "", yaml_folder: str = ""
) -> list[str]:
    """Write card, Croissant description with its table, and training script; return the files' names.

    Args:
        facts: see `pipeline.cards.facts.gather`.
        tables: the index of each set, by its folder.
        out: directory of the files.
        folder: where the sets lie from there, with a slash at its end; empty where they lie beside the files.
        yaml_folder: the same for the card's YAML, which is read from the root of what is published.
    """
    files.write_bytes(out / CARD, card_text(facts, folder=yaml_folder).encode())
    files.write_bytes(out / SCRIPT, training_script(facts["manifest"], folder).encode())
    write_croissant(facts, tables, out, folder)
    return [CARD, SCRIPT, *CROISSANT_FILES]


def staged_rows(run: Path) -> list[dict[str, str]]:
    """Return the credits of every staged sample with the set that it is in, sorted by uid.

    Raises:
        DataError: the run has not selected yet.
    """
    columns = ("uid", "corpus", "licence", "attribution", "url", "image_sha256", "lang", "split")
    return [{**row, "set": row["split"]} for row in read_kept(run, columns).to_pylist()]


def card_text(facts: dict[str, Any], *, folder: str) -> str:
    """Return a whole card: its YAML and its Markdown.

    Args:
        facts: see `pipeline.cards.facts.gather`.
        folder: where the sets lie from the card, with a slash at its end; empty where they lie beside it.
    """
    return f"---\n{front_matter(facts, folder)}---\n\n{render(facts)}"


def front_matter(facts: dict[str, Any], folder: str) -> str:
    """Return the card's YAML: the hub's vocabulary, one configuration a stage and one for all."""
    import yaml

    licences = sorted({hub_licence(part) for licence in facts["licences"] for part in licence.split(" AND ")})
    values: dict[str, Any] = {
        "pretty_name": facts["config"].name,
        "language": facts["languages"],
        "license": licences if len(licences) > 1 else licences[0],
        "size_categories": [next((name for limit, name in SIZES if facts["samples"] < limit), "1M<n<10M")],
        "task_categories": ["image-to-text", "zero-shot-image-classification"],
        "annotations_creators": ["found"],
        "language_creators": ["found"],
        "source_datasets": ["original"],
        "tags": facts["tags"],
        "configs": configurations(facts["manifest"], folder),
    }
    if "other" in licences:
        values |= {"license_name": "see-attribution", "license_link": "ATTRIBUTION.csv"}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def configurations(manifest: dict[str, Any], folder: str) -> list[dict[str, Any]]:
    """Return the hub's configurations: ``all`` with every split, then one for each stage."""
    paths = [f"{folder}{entry['path']}/*.tar" for entry in manifest["stages"]]
    splits = [{"split": e["split"], "path": [f"{folder}{e['path']}/*.tar"]} for e in manifest["evaluation"]]
    whole = {"config_name": "all", "default": True, "data_files": [{"split": "train", "path": paths}, *splits]}
    return [
        whole,
        *(
            {"config_name": f"stage{entry['stage']}", "data_files": [{"split": "train", "path": [path]}]}
            for entry, path in zip(manifest["stages"], paths, strict=True)
        ),
    ]


def render(facts: dict[str, Any]) -> str:
    """Return the card's Markdown. What comes from data is escaped; a fact that is missing is an error."""
    import jinja2
    from markupsafe import Markup, escape

    def cell(value: object) -> Markup:
        """One line of text in which no Markdown, table or HTML syntax is active."""
        text = str(escape(" ".join(str(value).split()))) or "–"
        return Markup("".join(f"&#{ord(c)};" if c in "|`*[]\\" else c for c in text))  # noqa: S704 - escaped above

    def fenced(text: str) -> Markup:
        """Text inside a fence, where nothing is active but the fence itself."""
        return Markup(text.replace("```", "~~~"))  # noqa: S704 - no HTML is active there

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "fenced": fenced, "number": lambda value: f"{value:,}"}
    further: dict[str, Any] = {"no_uses": NO_USES, "train_data": train_data(facts["manifest"])}
    for name, folder in {"benchmarks": CLIP_BENCHMARK, "models": MODELS}.items():
        further[name] = [path.partition("/")[2] for path in facts["beside"] if path.startswith(f"{folder}/")]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(facts | further)
