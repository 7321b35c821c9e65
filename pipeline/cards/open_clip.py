"""How open_clip's own training command is pointed at staged shards: brace patterns, numbers of samples, a script.

open_clip takes the sizes of all shards from the folder of the first one, so a specification that spans several stages
needs ``--train-num-samples`` beside it.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SCRIPT = "train_open_clip.sh"
TEMPLATE = Path(__file__).with_name("train_open_clip.sh.jinja")
SHARD = re.compile(r"(.*?)(\d+)\.tar")
MAX_BATCH, MAX_WORKERS = 64, 4
JOIN = "::"  # between the parts of a specification


class TrainData(NamedTuple):
    """What open_clip needs to know of its training data.

    Attributes:
        shards: for ``--train-data``: brace patterns, joined by ``::``.
        samples: for ``--train-num-samples``.
        number: of shards; it must not be below workers × ranks.
    """

    shards: str
    samples: int
    number: int


def train_data(manifest: dict[str, Any], folder: str = "", stages: Collection[int] = ()) -> TrainData:
    """Return the training data of some stages together, to be sampled as one set.

    Args:
        manifest: of a stages directory, or of what was published of it.
        folder: what goes before every path, with a slash at its end. It must hold no braces, commas or ``::``.
        stages: numbers; empty for all.

    Raises:
        ValueError: there is no such stage.
    """
    chosen = [entry for entry in manifest["stages"] if not stages or entry["stage"] in stages]
    if not chosen or set(stages) - {entry["stage"] for entry in chosen}:
        raise ValueError(f"stages {sorted(stages)}: the manifest has {[e['stage'] for e in manifest['stages']]}")
    names = {entry["path"]: [shard["file"] for shard in entry["shards"]] for entry in chosen}
    patterns = [f"{folder}{path}/{pattern}" for path, shards in names.items() for pattern in brace_patterns(shards)]
    return TrainData(
        shards=JOIN.join(patterns),
        samples=sum(entry["samples"] for entry in chosen),
        number=sum(map(len, names.values())),
    )


def brace_patterns(names: Sequence[str]) -> list[str]:
    """Return the patterns that stand for exactly these shards, in their order: ``{00000..00007}.tar``."""
    runs: list[tuple[str, str, str]] = []
    for name in names:
        matched = SHARD.fullmatch(name)
        if matched is None:
            raise ValueError(f"{name!r} is not the name of a shard")
        prefix, number = matched.groups()
        before, first, last = runs[-1] if runs else ("", "", "")
        # Braces write all numbers with as many digits.
        if runs and before == prefix and len(number) == len(first) and int(number) == int(last) + 1:
            runs[-1] = (prefix, first, number)
        else:
            runs.append((prefix, number, number))
    return [
        f"{prefix}{first}.tar" if first == last else f"{prefix}{{{first}..{last}}}.tar" for prefix, first, last in runs
    ]


def training_script(manifest: dict[str, Any], folder: str) -> str:
    """Return a shell script that trains open_clip on the shards, stage after stage or on all at once.

    Each stage goes on from the last checkpoint of the one before. Where the pool of the curriculum is cumulative, a
    stage is trained with those before it; a share of replay is not taken over.

    Args:
        manifest: of a stages directory, or of what was published of it.
        folder: where the sets lie from the script, with a slash at its end; empty where they lie beside it.
    """
    import jinja2

    cumulative = manifest["exposure"]["pool"] == "cumulative"
    numbers = [entry["stage"] for entry in manifest["stages"]]
    members = [numbers[: place + 1] if cumulative else [number] for place, number in enumerate(numbers)]
    steps = [train_data(manifest, "$DATA/", chosen) for chosen in members]
    workers = min(MAX_WORKERS, *(step.number for step in steps))
    facts = {
        "folder": folder,
        "size": manifest["image"]["size"],
        "steps": [(entry["path"], step) for entry, step in zip(manifest["stages"], steps, strict=True)],
        "all": train_data(manifest, "$DATA/"),
        "workers": workers,
        "batch": min(MAX_BATCH, *(_least_of_a_worker(manifest, chosen, workers) for chosen in members)),
    }
    environment = jinja2.Environment(  # noqa: S701 - a shell script; its values are numbers and names of our own
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(facts)


def _least_of_a_worker(manifest: dict[str, Any], stages: Collection[int], workers: int) -> int:
    """Return how many samples a worker has at least that gets its share of the shards; with less than a batch it
    would yield nothing at all."""
    sizes = sorted(s["samples"] for entry in manifest["stages"] if entry["stage"] in stages for s in entry["shards"])
    return int(sum(sizes[: len(sizes) // workers]))
