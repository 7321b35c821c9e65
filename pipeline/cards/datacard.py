"""The data card of what a run has made, written from the run's own records and nothing else."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from pipeline import files
from pipeline.acquire.net.config import NetConfig
from pipeline.cards.config import CardConfig
from pipeline.errors import DataError
from pipeline.licences import GROUPS, PUBLISHABLE, hub_licence, licence_class, most_restrictive
from pipeline.shards.read import read_manifest
from pipeline.shards.write import samples_by_group
from pipeline.tables import read_columns
from pipeline.workspace import Counts, Workspace

TEMPLATE = Path(__file__).with_name("datacard.md.jinja")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LIBRARIES = ("numpy", "pillow", "pyarrow")  # what decides the bytes of the shards


class Source(Protocol):
    """What a card says about a corpus; `pipeline.acquire.card.Card` is one."""

    @property
    def name(self) -> str:
        """As in the samples' ``corpus``."""

    @property
    def title(self) -> str:
        """For a person."""

    @property
    def licence(self) -> str:
        """SPDX expression."""

    @property
    def attribution(self) -> str:
        """The credit to give."""

    @property
    def homepage(self) -> str:
        """Where the corpus is described; may be empty."""

    @property
    def child_directed(self) -> bool:
        """Made for children."""

    @property
    def redistributable(self) -> bool:
        """Whether shards made of it may be passed on."""


def write_cards(config: CardConfig, run: Path, out: Path, *, sources: Sequence[Source] = ()) -> Counts:
    """Write ``card/README.md`` and ``card/ATTRIBUTION.csv`` for the staged shards of a run.

    Reads the records of the steps, ``stages/manifest.json``, ``curriculum/summary.json``, ``selection/funnel.json``,
    ``signals/sources.json`` and the staged samples' credits. The paths in the card's YAML are relative to the run
    directory; `pipeline.publish.publish` writes a card of its own.

    Raises:
        DataError: the shards hold a sample that the signals do not know.
    """
    manifest = read_manifest(run / "stages")
    rows = staged_rows(run)
    facts = gather(config, run, manifest, rows, sources)
    text = card_text(facts, rows, sources, folder="stages/")
    files.write_bytes(out / "card/README.md", text.encode())
    files.write_bytes(out / "card/ATTRIBUTION.csv", (run / "stages/ATTRIBUTION.csv").read_bytes())
    return {
        "samples": len(rows),
        "licences": facts["licences"],
        "most_restrictive": facts["most_restrictive"],
        "publishable": not facts["obstacles"],
    }


def staged_rows(run: Path) -> list[dict[str, str]]:
    """Return the credits of every staged sample with the set that it is in, sorted by uid.

    Raises:
        DataError: the signals do not know a sample.
    """
    columns = read_columns(
        run / "signals/samples.parquet", ["uid", "corpus", "licence", "attribution", "url", "image_sha256", "lang"]
    )
    known = {uid: position for position, uid in enumerate(columns["uid"])}
    split = read_columns(run / "selection/split.parquet", ["uid", "split"])
    rows = []
    for uid, name in sorted(zip(split["uid"], split["split"], strict=True)):
        if uid not in known:
            raise DataError(f"{run / 'signals/samples.parquet'} has no sample {uid}; run measure again")
        rows.append({**{key: values[known[uid]] for key, values in columns.items()}, "set": name})
    return rows


def card_text(
    facts: dict[str, Any], rows: Sequence[Mapping[str, str]], sources: Sequence[Source], *, folder: str
) -> str:
    """Return a whole card: its YAML and its Markdown.

    Args:
        facts: see `gather`.
        folder: where the sets lie from the card, with a slash at its end; empty where they lie beside it.
    """
    yaml = front_matter(facts["config"], facts["manifest"], rows, sources, folder)
    return f"---\n{yaml}---\n\n{render(facts)}"


def front_matter(
    config: CardConfig,
    manifest: dict[str, Any],
    rows: Sequence[Mapping[str, str]],
    sources: Sequence[Source],
    folder: str,
) -> str:
    """Return the card's YAML: the hub's vocabulary, one configuration a stage and one for all."""
    import yaml

    licences = sorted({hub_licence(row["licence"]) for row in rows})
    paths = [f"{folder}{entry['path']}/*.tar" for entry in manifest["stages"]]
    configs: list[dict[str, Any]] = [
        {
            "config_name": "all",
            "default": True,
            "data_files": [
                {"split": "train", "path": paths},
                *({"split": e["split"], "path": [f"{folder}{e['path']}/*.tar"]} for e in manifest["evaluation"]),
            ],
        }
    ]
    for entry, path in zip(manifest["stages"], paths, strict=True):
        data_files = [{"split": "train", "path": [path]}]
        configs.append({"config_name": f"stage{entry['stage']}", "data_files": data_files})
    tags = ["webdataset", "curriculum", "image-text-pairs"]
    if sources and all(source.child_directed for source in sources):
        tags.append("child-directed")
    values: dict[str, Any] = {
        "pretty_name": config.name,
        "language": sorted({row["lang"] for row in rows}),
        "license": licences if len(licences) > 1 else licences[0],
        "size_categories": [next((name for limit, name in SIZES if len(rows) < limit), "1M<n<10M")],
        "task_categories": ["image-to-text", "zero-shot-image-classification"],
        "annotations_creators": ["found"],
        "language_creators": ["found"],
        "source_datasets": ["original"],
        "tags": tags,
        "configs": configs,
    }
    if "other" in licences:
        values |= {"license_name": "see-attribution", "license_link": "ATTRIBUTION.csv"}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def gather(
    config: CardConfig,
    run: Path,
    manifest: dict[str, Any],
    rows: Sequence[Mapping[str, str]],
    sources: Sequence[Source],
    *,
    growth: Sequence[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return all that the card's text says, as plain values.

    Args:
        manifest: of the run's stages, or of the part of them that is published.
        rows: the samples that it names, as `staged_rows` returns them.
        growth: new words and vocabulary by stage, where they are not those of the whole order.
    """
    licences = Counter(row["licence"] for row in rows)
    summary = files.read_json(run / "curriculum/summary.json")
    return {
        "config": config,
        "manifest": manifest,
        "published": manifest.get("published"),
        "summary": summary,
        "growth": {entry["stage"]: entry for entry in (summary["stages"] if growth is None else growth)},
        "samples": len(rows),
        "words": sum(entry["words"] for entry in (*manifest["stages"], *manifest["evaluation"])),
        "funnel": funnel(run),
        "sources": [_source(source, rows) for source in sources] or _sources_from_rows(rows),
        "licences": dict(sorted(licences.items(), key=lambda item: (-item[1], item[0]))),
        "classes": {licence: licence_class(licence) for licence in licences},
        "most_restrictive": most_restrictive(licences),
        "groups": shard_groups(manifest),
        "obstacles": obstacles(licences, sources),
        "closed": [source.name for source in sources if not source.redistributable],
        "exceptions": {source.name: found for source in sources if (found := net_exceptions(source))},
        "taken_down": taken_down(run),
        "personal": personal(run),
        "real_children": real_children(run),
        "tools": tools(run),
    }


def funnel(run: Path) -> list[dict[str, Any]]:
    """Return what each step took in, kept and dropped: acquisition and measuring, then selection rule by rule."""
    keys = ("in", "kept", "dropped")
    records = sorted(Workspace(run).records(), key=lambda record: str(record["step"]))
    steps = [
        {"step": record["step"], **{key: record["counts"][key] for key in keys}}
        for record in records
        if record["step"].partition("-")[0] in ("acquire", "measure") and set(keys) <= record["counts"].keys()
    ]
    path = run / "selection/funnel.json"
    return steps + (files.read_json(path)["steps"] if path.is_file() else [])


def shard_groups(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return samples and names of shards by group of licences."""
    counted = samples_by_group((*manifest["stages"], *manifest["evaluation"]))
    return {group: {"shards": f"{GROUPS[group]}00000.tar …", "samples": number} for group, number in counted.items()}


def net_exceptions(source: Source) -> list[str]:
    """Return where a corpus was fetched with less care than is the rule: unchecked certificates, unheeded opt-outs."""
    found = []
    for net in _net_configs(getattr(source, "source", None)):
        found += [f"certificate of {host} not checked" for host in net.insecure_hosts]
        found += [] if net.robots else ["robots.txt not read"]
        found += [] if net.opt_outs else ["opt-outs not obeyed"]
        found += [f"{signal} not obeyed" for signal in net.ignore]
    return found


def _net_configs(value: object) -> Iterator[NetConfig]:
    if isinstance(value, NetConfig):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _net_configs(getattr(value, name))


def taken_down(run: Path) -> int:
    """Return how many rows of the corpora stay out because of a takedown."""
    records = (record for record in Workspace(run).records() if str(record["step"]).startswith("acquire-"))
    return sum(record["counts"].get("dropped", {}).get("takedown", 0) for record in records)


def personal(run: Path) -> dict[str, Any]:
    """Return the ``policy`` on personal data in captions, and how much of each kind was ``found``; empty if unknown."""
    record = Workspace(run).record("measure")
    if record is None or "personal" not in record["counts"]:
        return {}
    return {"policy": record["params"]["config"]["personal"]["policy"], "found": record["counts"]["personal"]}


def real_children(run: Path) -> str:
    """Return the policy on photographs of real children; empty if unknown."""
    record = Workspace(run).record("select")
    safety = record["params"].get("config", {}).get("safety", {}) if record else {}
    return str(safety.get("real_children", {}).get("policy", ""))


def obstacles(licences: Counter[str], sources: Sequence[Source]) -> list[str]:
    """Return why the shards may not be passed on as they are; empty where they may."""
    found = [f"the source {source.name} may not be redistributed" for source in sources if not source.redistributable]
    for licence, count in sorted(licences.items()):
        if licence_class(licence) not in PUBLISHABLE:
            found.append(f"{count} samples are under {licence or 'no licence'} ({licence_class(licence)})")
    return found


def tools(run: Path) -> dict[str, str]:
    """Return what measured and encoded the samples, by name, with versions and hashes."""
    from importlib.metadata import version

    found = {library: version(library) for library in LIBRARIES}
    path = run / "signals/sources.json"
    return found | (_flat(files.read_json(path), "signals") if path.is_file() else {})


def render(facts: dict[str, Any]) -> str:
    """Return the card's Markdown. What comes from data is escaped; a fact that is missing is an error."""
    import jinja2
    from markupsafe import Markup, escape

    def cell(value: object) -> Markup:
        """One line of text in which no Markdown, table or HTML syntax is active."""
        text = str(escape(" ".join(str(value).split()))) or "–"
        return Markup("".join(f"&#{ord(c)};" if c in "|`*[]\\" else c for c in text))  # noqa: S704 - escaped above

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "number": lambda value: f"{value:,}"}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(facts)


def _flat(value: Any, prefix: str) -> dict[str, str]:
    """Return the leaves of a JSON value by dotted name."""
    if isinstance(value, dict):
        return {name: leaf for key in sorted(value) for name, leaf in _flat(value[key], f"{prefix}.{key}").items()}
    if isinstance(value, list):
        return {prefix: ", ".join(map(str, value))}
    return {prefix: str(value)}


def _source(source: Source, rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return {
        "name": source.name,
        "title": source.title,
        "licence": source.licence,
        "attribution": source.attribution,
        "homepage": source.homepage,
        "child_directed": "yes" if source.child_directed else "no",
        "redistributable": "yes" if source.redistributable else "no",
        "samples": sum(row["corpus"] == source.name for row in rows),
    }


def _sources_from_rows(rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Describe the sources by their samples alone, where no cards were given."""
    found = []
    for name, count in sorted(Counter(row["corpus"] for row in rows).items()):
        licences = sorted({row["licence"] for row in rows if row["corpus"] == name})
        credits_given = sorted({row["attribution"] for row in rows if row["corpus"] == name})
        facts = {"licence": ", ".join(licences), "attribution": "; ".join(credits_given[:3]), "homepage": ""}
        unknown = {"child_directed": "not stated", "redistributable": "not stated"}
        found.append({"name": name, "title": name, "samples": count, **facts, **unknown})
    return found
