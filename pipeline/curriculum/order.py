"""The step that orders the training samples, and writes what the order is compared with and described by."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.controls import control_permutations
from pipeline.curriculum.difficulty import Difficulty, difficulty_of
from pipeline.curriculum.exposure import check_budget, exposure, vocabulary_growth, words_of_captions
from pipeline.curriculum.lemmas import read_nouns
from pipeline.curriculum.ontology import FILE as ONTOLOGY
from pipeline.curriculum.ontology import build_ontology
from pipeline.curriculum.pairs import Pairs, numbers, read_pairs
from pipeline.curriculum.sequence import arrange
from pipeline.curriculum.stages import Cut, check_stages, cut
from pipeline.tables import read_table, write_table
from pipeline.workspace import Counts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

FOLDER = "curriculum"
RARITY = "caption.rarity"
MISSING_RULE = {
    "middle": "a sample without a value takes the middle rank of that signal",
    "hardest": "a sample without a value counts as the hardest of that signal",
}

log = logging.getLogger(__name__)


def order(config: CurriculumConfig, run: Path, out: Path) -> Counts:
    """Order the train split: ``curriculum/`` with order, signals, controls, ontology and summary.

    Reads ``selection/kept.parquet`` and ``signals/*.parquet``; where an earlier order lies in the run, the counts say
    how many samples of both changed their stage. The outcome depends on values and uids, never on the order of rows.

    Raises:
        ConfigError: the configuration names a signal or a corpus that does not exist.
        DataError: the train split is empty, the stages break their contract, or the budget of words is passed.
    """
    before = earlier_stages(run)
    pairs = read_pairs(run, config.own_signals)
    words = words_of_captions(pairs.column("caption").to_pylist())
    check_budget(config, int(words.sum()))
    difficulty = difficulty_of(config, pairs)
    cutting = cut(config, pairs, difficulty)
    easier = check_stages(cutting.stages, difficulty.value, config)
    sequence = arrange(config, pairs, cutting.stages, difficulty.value)
    frequency = _frequency(config, pairs)[sequence]
    stages = cutting.stages[sequence]
    controls = control_permutations(stages, frequency, bins=config.frequency_bins, seed=config.seed)

    folder = out / FOLDER
    table = order_table(pairs.column("uid").take(sequence), stages, config.stages)
    _write_orders(folder, table, difficulty, sequence, controls)
    _write_signals(folder, pairs, difficulty, cutting)
    _write_ontology(config, pairs, out)
    summary = summarise(config, pairs, difficulty, cutting, sequence, controls, words)
    files.write_json(folder / "summary.json", {**summary, "easier_than_before": easier})
    sizes = {entry["name"]: entry["samples"] for entry in summary["stages"]}
    counts = {"in": len(pairs), "kept": len(pairs), "dropped": {}, "stages": sizes, "missing": summary["missing"]}
    return counts | ({} if before is None else {"changed_stage": changed_stage(before, table)})


def _frequency(config: CurriculumConfig, pairs: Pairs) -> "np.ndarray":
    """Return the column (N,) that the frequency-matched control keeps; ``caption.rarity`` where it has no value.

    A log line says so: without any frequency the control would be a random order by another name.
    """
    import numpy as np

    values = numbers(pairs, [config.frequency])[config.frequency]
    if not np.isnan(values).all() or not pairs.has(RARITY):
        return values
    log.warning("%s has no value for any training sample; the frequency control keeps %s", config.frequency, RARITY)
    return numbers(pairs, [RARITY])[RARITY]


def order_table(uids: "pa.Array", stages: "np.ndarray", names: tuple[str, ...]) -> "pa.Table":
    """Return the columns that every order has, one row a place; ranks run from 0 over all stages.

    Args:
        uids: (N,) by place.
        stages: (N,) by place, from 1.
        names: of the stages.
    """
    import numpy as np
    import pyarrow as pa

    named = pa.DictionaryArray.from_arrays(pa.array(stages - 1, pa.int32()), pa.array(names, pa.string()))
    return pa.table(
        {
            "uid": uids,
            "stage": pa.array(stages, pa.int32()),
            "stage_name": named.dictionary_decode(),
            "rank": pa.array(np.arange(len(uids)), pa.int64()),
        }
    )


def earlier_stages(run: Path) -> "pa.Table | None":
    """Return uid and stage of the order that a run holds already, or None."""
    path = run / FOLDER / "order.parquet"
    return read_table(path, ["uid", "stage"]) if path.is_file() else None


def changed_stage(before: "pa.Table", after: "pa.Table") -> int:
    """Return how many samples that stand in both orders stand in another stage."""
    import pyarrow.compute as pc

    places = pc.index_in(after.column("uid"), value_set=before.column("uid").combine_chunks())
    return pc.sum(pc.not_equal(before.column("stage").take(places), after.column("stage"))).as_py() or 0


def summarise(
    config: CurriculumConfig,
    pairs: Pairs,
    difficulty: Difficulty,
    cutting: Cut,
    sequence: "np.ndarray",
    controls: dict[str, "np.ndarray"],
    words: "np.ndarray",
) -> dict[str, Any]:
    """Return what each stage holds: exposure in samples and words, growth of the vocabulary, spread of difficulty.

    Args:
        config: of the order.
        pairs: sorted by uid, as are difficulty and stages; `sequence` brings them to the places.
        difficulty: of the pairs.
        cutting: their stages.
        sequence: see `arrange`.
        controls: permutations by name; their exposure in words is stated stage by stage.
        words: (N,) of each pair's caption.
    """
    import numpy as np

    stages, words, value = cutting.stages[sequence], words[sequence], difficulty.value[sequence]
    growth, curve = vocabulary_growth(pairs.column("caption").take(sequence), stages)
    declared = exposure(config, stages, words)
    entries = []
    for shown, grown, limits in zip(declared["stages"], growth, cutting.limits, strict=True):
        entry = {name: shown[name] for name in ("stage", "name", "samples", "words")}
        spread = {"difficulty": _spread(value[stages == shown["stage"]]), "cut": limits}
        entries.append(entry | spread | grown)
    by_stage = {
        name: np.bincount(stages - 1, weights=words[permutation]).astype(int).tolist()
        for name, permutation in controls.items()
    }
    own = {name: path.name for name, path in config.own_signals.items()}  # a path would say where this machine keeps it
    return {
        "config": {**config.model_dump(mode="json"), "own_signals": own},
        "samples": len(pairs),
        "words": declared["words"],
        "weights": difficulty.weights,
        "absent": list(difficulty.absent),
        "missing": {**difficulty.missing, **cutting.missing},
        "missing_rule": MISSING_RULE[config.missing],
        "cut": cutting.facts,
        "stages": entries,
        "growth": curve,
        "exposure": declared,
        "words_by_stage_in_controls": by_stage,
    }


def _spread(values: "np.ndarray") -> dict[str, float]:
    import numpy as np

    return {"min": float(values.min()), "median": float(np.median(values)), "max": float(values.max())}


def _write_orders(
    folder: Path,
    table: "pa.Table",
    difficulty: Difficulty,
    sequence: "np.ndarray",
    controls: dict[str, "np.ndarray"],
) -> None:
    """Write the order with its difficulty and components, and each control."""
    import pyarrow as pa

    columns = {"difficulty": difficulty.value, **difficulty.components}
    order_with_reasons = table
    for name, values in columns.items():
        order_with_reasons = order_with_reasons.append_column(name, pa.array(values[sequence]))
    write_table(folder / "order.parquet", order_with_reasons)
    for name, permutation in controls.items():
        uids = table.column("uid").take(pa.array(permutation))
        write_table(folder / f"controls/{name}.parquet", table.set_column(0, "uid", uids))


def _write_signals(folder: Path, pairs: Pairs, difficulty: Difficulty, cutting: Cut) -> None:
    """Write the values that decided, one row a pair, sorted by uid: signals, and ``cut``, by which it was staged."""
    import numpy as np
    import pyarrow as pa

    columns = {"uid": pairs.column("uid")}
    cut_by = cutting.value if cutting.value is not None else np.full(len(pairs), np.nan)
    for name, values in {**difficulty.signals, "cut": cut_by}.items():
        columns[name] = pa.array(values, from_pandas=True)
    write_table(folder / "signals.parquet", pa.table(columns))


def _write_ontology(config: CurriculumConfig, pairs: Pairs, out: Path) -> None:
    uids, categories = (pairs.column(name).to_pylist() for name in ("uid", "category"))
    tree = build_ontology(uids, [name or "" for name in categories], read_nouns(pairs), config.ontology)
    # One line: it names every pair several times, and nobody reads that by eye.
    files.write_bytes(out / ONTOLOGY, files.canonical_json(tree).encode())
