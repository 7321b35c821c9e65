"""What a data card and Croissant say of a run, gathered from the run's own records and nothing else."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from pipeline import files
from pipeline.acquire.net.config import NetConfig
from pipeline.cards.config import CardConfig
from pipeline.cards.responsible import citation, responsible
from pipeline.licences import GROUPS, PUBLISHABLE, licence_class, most_restrictive
from pipeline.shards.write import samples_by_group
from pipeline.workspace import Workspace

TAGS = ("webdataset", "curriculum", "image-text-pairs")
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


def gather(
    config: CardConfig,
    run: Path,
    manifest: dict[str, Any],
    rows: Sequence[Mapping[str, str]],
    sources: Sequence[Source],
    *,
    growth: Sequence[dict[str, Any]] | None = None,
    beside: Sequence[str] = (),
) -> dict[str, Any]:
    """Return all that the card's text says, as plain values.

    Args:
        manifest: of the run's stages, or of the part of them that is published.
        rows: the samples that it names, as `staged_rows` returns them.
        growth: new words and vocabulary by stage, where they are not those of the whole order.
        beside: what else is published: files and folders by their paths.
    """
    licences = Counter(row["licence"] for row in rows)
    summary = files.read_json(run / "curriculum/summary.json")
    facts = {
        "config": config,
        "manifest": manifest,
        "published": manifest.get("published"),
        "beside": list(beside),
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
        "merged": merged_captions(run),
        "exposure": exposure(manifest),
        "languages": sorted({row["lang"] for row in rows}),
        "tags": [*TAGS, *(["child-directed"] if sources and all(source.child_directed for source in sources) else [])],
    }
    return facts | {"responsible": responsible(facts), "citation": citation(facts)}


def exposure(manifest: Mapping[str, Any]) -> list[dict[str, int]]:
    """Return for each stage the samples and words of its pool, and of all stages up to it."""
    cumulative = manifest["exposure"]["pool"] == "cumulative"
    rows: list[dict[str, int]] = []
    samples = words = 0
    for entry in manifest["stages"]:
        samples, words = samples + entry["samples"], words + entry["words"]
        pool = (samples, words) if cumulative else (entry["samples"], entry["words"])
        row = {"stage": entry["stage"], "pool_samples": pool[0], "pool_words": pool[1]}
        rows.append({**row, "samples_so_far": samples, "words_so_far": words})
    return rows


def merged_captions(run: Path) -> int:
    """Return how many captions of dropped duplicates live on with the picture that stayed."""
    record = Workspace(run).record("select")
    return int(record["counts"].get("merged_captions", 0)) if record else 0


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
    selection = files.read_json(path)["steps"] if path.is_file() else []
    # The steps before selection stand there too, once more and as sums.
    known = {step["step"].partition("-")[0] for step in steps}
    return steps + [step for step in selection if step["step"] not in known]


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
        "engine": getattr(getattr(source, "source", None), "engine", ""),
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
        facts = {
            "licence": ", ".join(licences),
            "attribution": "; ".join(credits_given[:3]),
            "homepage": "",
            "engine": "",
        }
        unknown = {"child_directed": "not stated", "redistributable": "not stated"}
        found.append({"name": name, "title": name, "samples": count, **facts, **unknown})
    return found
