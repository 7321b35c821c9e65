"""Where the samples come from, whom to credit, and what measured them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.licences import GROUPS

if TYPE_CHECKING:
    from pipeline.shards.read import Stages


@dataclass(frozen=True, kw_only=True)
class Source:
    """A corpus in the stages.

    Attributes:
        corpus: name of its card.
        samples, pictures: in the stages and evaluation sets.
        licences: number of samples by SPDX expression, most frequent first.
        attributions: number of samples by credit, most frequent first.
    """

    corpus: str
    samples: int
    pictures: int
    licences: dict[str, int]
    attributions: dict[str, int]


def read_sources(stages: "Stages") -> list[Source]:
    """Return the corpora of a stages directory by name."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for part in (*stages.stages, *stages.evaluation.values()):
        table = part.table.select(["corpus", "image_sha256", "licence", "attribution"])
        for row in table.to_pylist():
            rows.setdefault(row["corpus"], []).append(row)
    return [
        Source(
            corpus=corpus,
            samples=len(own),
            pictures=len({row["image_sha256"] for row in own}),
            licences=frequent_first(Counter(row["licence"] for row in own)),
            attributions=frequent_first(Counter(row["attribution"] for row in own if row["attribution"])),
        )
        for corpus, own in sorted(rows.items())
    ]


@dataclass(frozen=True, kw_only=True)
class LicenceGroup:
    """Licences that share shards: name of the group, number of shards and samples, and the licences themselves."""

    group: str
    shards: int
    samples: int
    licences: dict[str, int]


def read_licence_groups(stages: "Stages") -> list[LicenceGroup]:
    """Return the groups of licences whose samples lie in shards of their own, from free to restrictive."""
    shards: Counter[str] = Counter()
    licences: dict[str, Counter[str]] = {}
    for part in (*stages.stages, *stages.evaluation.values()):
        group = {entry["file"]: entry["licence"] for entry in part.entry["shards"] if "licence" in entry}
        shards.update(group.values())
        table = part.table.select(["shard", "licence"]).to_pydict()
        for shard, licence in zip(table["shard"], table["licence"], strict=True):
            if shard in group:
                licences.setdefault(group[shard], Counter())[licence] += 1
    return [
        LicenceGroup(
            group=group,
            shards=shards[group],
            samples=licences[group].total(),
            licences=frequent_first(licences[group]),
        )
        for group in GROUPS
        if group in licences
    ]


def read_versions(run: Path) -> list[tuple[str, str]]:
    """Return what made the signals as (name, value) pairs, nested names joined by dots."""
    path = run / "signals/sources.json"
    return list(_flat("", files.read_json(path))) if path.is_file() else []


def frequent_first(counted: Mapping[str, int]) -> dict[str, int]:
    """Return numbers by name, the largest first and equal ones by name."""
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _flat(prefix: str, value: Any) -> Any:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _flat(f"{prefix}.{key}" if prefix else key, value[key])
    else:
        yield prefix, str(value)
