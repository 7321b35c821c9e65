"""The step that decides: filters, safety, contamination, duplicates, split; verdicts for all, a funnel that adds up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.acquire.raw import SUCCESS, raw_tables
from pipeline.errors import DataError
from pipeline.select.config import PRESETS, SelectConfig, SplitConfig
from pipeline.select.contamination import contamination_drops
from pipeline.select.deduplicate import Deduplicated, deduplicate
from pipeline.select.filters import check_rules, filter_samples
from pipeline.select.kept import FILE, Catalogue, Pair, kept_columns
from pipeline.select.real_children import CorpusFacts
from pipeline.select.safety import safety_drops
from pipeline.select.split import TRAIN, Member, assign, check_leaks, components
from pipeline.select.verdict import Drop
from pipeline.tables import read_columns, write_table
from pipeline.workspace import Counts, check_funnel

MEMBER = ("uid", "corpus", "group", "caption", "image_sha256", "category", "lang")  # what a split knows of a sample


def select(
    config: SelectConfig,
    corpora: Sequence[str],
    encoder: str,
    run: Path,
    out: Path,
    *,
    facts: Mapping[str, CorpusFacts] | None = None,
) -> Counts:
    """Write ``selection/``: what stays with its split, verdicts, rejected samples, stored pairs and the funnel.

    Args:
        corpora: names of the raw corpora, for the funnel's first step.
        encoder: name of the folder below ``embeddings/``.
        run: the run directory that is read.
        out: the directory below which ``selection/`` is written.
        facts: what the cards say that safety depends on, by corpus.

    Raises:
        ConfigError: a rule names a signal that does not exist.
        DataError: nothing is left, the numbers do not add up, or the split leaks.
        SafetyError: a hit in a corpus where that ends the run.
    """
    folder = out / "selection"
    catalogue = read_columns(run / "signals/samples.parquet")
    check_rules(config.filters, run)
    filtered = filter_samples([*PRESETS[config.preset], *config.filters], run)
    drops = dict(filtered.drops)
    remaining = [uid for uid in catalogue["uid"] if uid not in drops]
    drops |= safety_drops(config.safety, run, remaining, facts)
    remaining = [uid for uid in catalogue["uid"] if uid not in drops]
    embeddings = run / "embeddings" / encoder
    drops |= contamination_drops(
        config.contamination, config.duplicates, catalogue, set(remaining), run, embeddings, folder
    )
    remaining = [uid for uid in catalogue["uid"] if uid not in drops]
    found = deduplicate(config.duplicates, catalogue, set(remaining), run, embeddings, folder)
    drops |= found.drops

    kept = _kept(catalogue, drops, found)
    if not kept["uid"]:
        raise DataError(f"nothing is left of {len(catalogue['uid'])} samples; see select.filters and select.preset")
    kept |= _sides(config.split, kept, found)
    write_table(out / FILE, kept)
    _write_verdicts(folder, catalogue, drops)
    steps = funnel(run, corpora, catalogue["uid"], drops)
    files.write_json(folder / "funnel.json", {"steps": steps, "rules": filtered.rules})
    dropped = Counter(drop.reason for drop in drops.values())
    return {
        "in": len(catalogue["uid"]),
        "kept": len(catalogue["uid"]) - len(drops),
        "dropped": dict(sorted(dropped.items())),
        "merged_captions": len(found.merged),
        **dict(sorted(Counter(kept["split"]).items())),
    }


def _kept(catalogue: Catalogue, drops: Mapping[str, Drop], found: Deduplicated) -> dict[str, list[Any]]:
    """Return what stays, sorted by uid: pairs as they were acquired, and captions that live on.

    A caption that lives on can have the uid of a pair that a filter dropped; the decision stands.
    """
    measured = set(catalogue["uid"])
    stay = [Pair(uid, row, row) for row, uid in enumerate(catalogue["uid"]) if uid not in drops]
    further = [pair for pair in found.merged if pair.uid not in measured]
    return kept_columns(catalogue, sorted(stay + further))


def _sides(config: SplitConfig, kept: Mapping[str, list[Any]], found: Deduplicated) -> dict[str, list[Any]]:
    """Return the columns ``component`` and ``split`` of the pairs that stay.

    Raises:
        DataError: the split leaks, or leaves nothing to train on.
    """
    members = [Member(*values) for values in zip(*(kept[name] for name in MEMBER), strict=True)]
    component = components(members)
    splits = assign(config, members, component)
    pixels = {picture.sha256: picture.pixel_sha256 for picture in found.pictures}
    check_leaks(members, component, splits, pixels, found.near)
    if TRAIN not in splits:
        raise DataError(f"no sample is left to train on; the {len(members)} that stayed are all held out")
    return {"component": component, "split": splits}


def funnel(run: Path, corpora: Sequence[str], uids: Sequence[str], drops: Mapping[str, Drop]) -> list[dict[str, Any]]:
    """Return the steps from the sources' rows to what stays; each step goes on with what the one before kept.

    Raises:
        DataError: the numbers do not add up.
    """
    rows = Counter(reason for corpus in corpora for reason in _acquired(run / "raw" / corpus))
    succeeded = rows.pop(SUCCESS, 0)
    repeated = files.read_json(run / "signals/catalogue.json")["dropped"]
    steps: list[dict[str, Any]] = [
        {"step": "acquire", "in": succeeded + rows.total(), "kept": succeeded, "dropped": dict(sorted(rows.items()))},
        {"step": "measure", "in": succeeded, "kept": len(uids), "dropped": repeated},
    ]
    for step in ("filter", "safety", "contamination", "duplicates"):
        reasons = Counter(drop.reason for drop in drops.values() if drop.step == step)
        before = steps[-1]["kept"]
        steps.append(
            {"step": step, "in": before, "kept": before - reasons.total(), "dropped": dict(sorted(reasons.items()))}
        )
    for entry in steps:
        check_funnel(entry["step"], entry)
    if steps[-1]["kept"] != len(uids) - len(drops):
        raise DataError(f"the funnel ends with {steps[-1]['kept']} samples, but {len(uids) - len(drops)} stayed")
    return steps


def _acquired(folder: Path) -> list[str]:
    """Return for every row of a raw corpus that it succeeded, or why not."""
    tables = [read_columns(table, ["status", "reason"]) for table in raw_tables(folder)]
    return [
        SUCCESS if status == SUCCESS else reason
        for table in tables
        for status, reason in zip(table["status"], table["reason"], strict=True)
    ]


def _write_verdicts(folder: Path, catalogue: Catalogue, drops: Mapping[str, Drop]) -> None:
    """Write a verdict for every sample, and the rejected samples with their columns; pictures are not copied."""
    import pyarrow as pa

    stays = Drop("", "")
    verdicts = [drops.get(uid, stays) for uid in catalogue["uid"]]
    columns = {
        "uid": catalogue["uid"],
        "kept": [uid not in drops for uid in catalogue["uid"]],
        "step": [verdict.step for verdict in verdicts],
        "reason": [verdict.reason for verdict in verdicts],
        "partner": [verdict.partner for verdict in verdicts],
        "score": pa.array([verdict.score for verdict in verdicts], type=pa.float64()),
    }
    write_table(folder / "verdicts.parquet", columns)
    rejected = [row for row, uid in enumerate(catalogue["uid"]) if uid in drops]
    table = {name: [values[row] for row in rejected] for name, values in catalogue.items()}
    table["reason"] = [verdicts[row].reason for row in rejected]
    write_table(folder / "rejected/samples.parquet", table)
