"""The step that orders the training samples, and writes what the order is compared with and described by."""

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.controls import control_permutations
from pipeline.curriculum.difficulty import Difficulty, composite, read_aligned, read_signals
from pipeline.curriculum.ontology import build_ontology
from pipeline.curriculum.stages import by_quantile, by_value, check_stages
from pipeline.errors import DataError
from pipeline.tables import read_table, write_table
from pipeline.workspace import Counts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
NEW_WORDS_SHOWN = 24


def order(config: CurriculumConfig, run: Path, out: Path) -> Counts:
    """Order the train split: ``curriculum/{order.parquet, controls/*.parquet, ontology.json, summary.json}``.

    Reads ``selection/split.parquet`` and ``signals/*.parquet``. The outcome depends on values and uids, never on the
    order of rows.

    Raises:
        ConfigError: the configuration names a signal that does not exist.
        DataError: the train split is empty, or the stages break their contract.
    """
    import numpy as np

    uids = train_uids(run)
    signals = read_signals(run, uids, _columns(config))
    difficulty = composite(signals, {column: weight for column, weight in config.difficulty.items() if weight})
    stages = assign(config, difficulty, signals)
    check_stages(stages, difficulty.value, config)
    sequence = arrange(stages, difficulty.value, config)
    frequency = signals[config.frequency][sequence]
    controls = control_permutations(stages[sequence], frequency, bins=config.frequency_bins, seed=config.seed)

    folder = out / "curriculum"
    names = np.array(config.stages, dtype=object)
    table = order_table(uids.take(sequence), stages[sequence], names)
    _write_orders(folder, table, difficulty, sequence, controls)
    samples = read_aligned(run / "signals/samples.parquet", table.column("uid"), ["caption", "category"])
    files.write_json(folder / "ontology.json", _ontology(config, run, table.column("uid"), samples))
    captions = samples.column("caption").to_pylist()
    summary = summarise(config, captions, difficulty, stages[sequence], sequence, controls)
    files.write_json(folder / "summary.json", summary)
    sizes = {entry["name"]: entry["samples"] for entry in summary["stages"]}
    return {"in": len(uids), "kept": len(uids), "dropped": {}, "stages": sizes, "missing": difficulty.missing}


def train_uids(run: Path) -> "pa.Array":
    """Return the uids of the train split, sorted.

    Raises:
        DataError: there are none.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_table(run / "selection/split.parquet", ["uid", "split"])
    uids = table.filter(pc.field("split") == "train").column("uid").to_pylist()
    if not uids:
        raise DataError(
            f"{run / 'selection/split.parquet'} holds no training sample; loosen the filters or add a corpus"
        )
    return pa.array(sorted(uids), pa.string())


def assign(config: CurriculumConfig, difficulty: Difficulty, signals: dict[str, "np.ndarray"]) -> "np.ndarray":
    """Return each sample's stage, (N,) from 1, by the configured cut."""
    if config.by == "value":
        return by_value(signals[config.column], config.edges)
    count = len(config.stages)
    return by_quantile(difficulty.value, config.fractions or [1 / count] * count)


def arrange(stages: "np.ndarray", difficulty: "np.ndarray", config: CurriculumConfig) -> "np.ndarray":
    """Return the positions (N,) of the samples, sorted by uid, in the sequence of the order.

    Inside a stage: from easy to hard with ties by uid, or drawn by the seed.
    """
    import numpy as np

    if config.within == "easy_to_hard":
        return np.lexsort((np.arange(len(stages)), difficulty, stages))
    drawn = np.random.default_rng([config.seed, len(config.stages)]).permutation(len(stages))
    return drawn[np.argsort(stages[drawn], kind="stable")]


def order_table(uids: "pa.Array", stages: "np.ndarray", names: "np.ndarray") -> "pa.Table":
    """Return the columns that every order has, one row a place; ranks run from 0 over all stages.

    Args:
        uids: (N,) by place.
        stages: (N,) by place, from 1.
        names: (stages,) of the stages.
    """
    import numpy as np
    import pyarrow as pa

    return pa.table(
        {
            "uid": uids,
            "stage": pa.array(stages, pa.int32()),
            "stage_name": pa.array(names[stages - 1], pa.string()),
            "rank": pa.array(np.arange(len(uids)), pa.int64()),
        }
    )


def summarise(
    config: CurriculumConfig,
    captions: list[str],
    difficulty: Difficulty,
    stages: "np.ndarray",
    sequence: "np.ndarray",
    controls: dict[str, "np.ndarray"],
) -> dict[str, Any]:
    """Return what each stage holds: exposure in samples and words, growth of the vocabulary, spread of difficulty.

    Args:
        config: of the order.
        captions: by place of the order.
        difficulty: by uid; `sequence` brings it to the places.
        stages: (N,) by place.
        sequence: see `arrange`.
        controls: permutations by name; their exposure in words is stated stage by stage.
    """
    import numpy as np

    tokens = np.array([len(caption.split()) for caption in captions])
    value = difficulty.value[sequence]
    known: set[str] = set()
    entries = []
    for number, name in enumerate(config.stages, start=1):
        places = np.flatnonzero(stages == number)
        entry = {"stage": number, "name": name, "samples": len(places), "words": int(tokens[places].sum())}
        entry["difficulty"] = _spread(value[places])
        entries.append(entry | new_words([captions[place] for place in places], known))
    exposure = {
        name: [int(tokens[permutation][stages == entry["stage"]].sum()) for entry in entries]
        for name, permutation in controls.items()
    }
    return {
        "config": config.model_dump(mode="json"),
        "samples": len(captions),
        "words": int(tokens.sum()),
        "missing": difficulty.missing,
        "missing_rule": "a sample without a value takes the middle rank of that signal",
        "stages": entries,
        "words_by_stage_in_controls": exposure,
    }


def _spread(values: "np.ndarray") -> dict[str, float]:
    import numpy as np

    return {"min": float(values.min()), "median": float(np.median(values)), "max": float(values.max())}


def new_words(captions: list[str], known: set[str]) -> dict[str, Any]:
    """Return the growth of the vocabulary in a stage; adds its words to those that are known."""
    words = Counter(word for caption in captions for word in WORD.findall(caption.lower()))
    new = sorted(words.keys() - known, key=lambda word: (-words[word], word))
    known.update(new)
    return {"new_words": len(new), "vocabulary": len(known), "frequent_new_words": new[:NEW_WORDS_SHOWN]}


def _columns(config: CurriculumConfig) -> set[str]:
    """Return the signals that an order reads."""
    cut = {config.column} if config.by == "value" else set()
    return {*config.difficulty, config.frequency, *cut}


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


def _ontology(config: CurriculumConfig, run: Path, uids: "pa.Array", texts: "pa.Table") -> dict[str, Any]:
    table = read_aligned(run / "signals/caption.parquet", uids, ["nouns", "head_noun"])
    nouns = [
        [*(listed or ()), *([head] if head else ())]
        for listed, head in zip(table.column("nouns").to_pylist(), table.column("head_noun").to_pylist(), strict=True)
    ]
    categories = texts.column("category").to_pylist()
    return build_ontology(uids.to_pylist(), categories, nouns, min_count=config.min_noun_count)
