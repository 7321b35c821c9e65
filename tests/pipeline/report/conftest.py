"""A run with everything that a report shows."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import files
from pipeline.tables import read_columns, write_table

CALIBRATION: dict[str, Any] = {
    "pictures": 9,
    "copies": [
        {
            "name": name,
            "known": 9,
            "tiers": {
                "exact": {"recall": 0.0, "precision": None},
                "semantic": {"recall": recall, "precision": 0.875},
                "combined": {"recall": recall, "precision": 0.875},
            },
        }
        for name, recall in (("crop 5 %", 0.125), ("flip", 0.625))
    ],
    "consecutive": {"pairs": 412, "merged": {"exact": 0.0, "semantic": 0.25, "combined": 0.25}},
    "curves": {
        "semantic": {
            "field": "cosine",
            "chosen": 0.9,
            "thresholds": [0.8, 0.9, 1.0],
            "copies": {name: [{"recall": share} for share in (1.0, 0.6, 0.1)] for name in ("crop 5 %", "flip")},
            "merged": [0.5, 0.25, 0.0],
        }
    },
}


@pytest.fixture(scope="session")
def run(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run with a recipe, a selection, scored pairs, a model's metrics and a real evaluation of a real model.

    A calibration is written down in few numbers; `test_contamination_table` has evaluation sets of other people.
    """
    from essen.config import EvaluateConfig, FusionConfig, ModelConfig, TextConfig, VisionConfig
    from essen.evaluate.evaluate import evaluate
    from essen.export import save_model
    from essen.model import build_model
    from essen.tokenizer import train_tokenizer
    from pipeline.index.config import IndexConfig
    from pipeline.index.store import build_index
    from pipeline.measure.config import EmbedConfig
    from pipeline.measure.measure import embed

    run = tmp_path_factory.mktemp("report") / "run"
    shutil.copytree(small_run, run)
    (run / "recipe.yaml").write_text("name: shapes\ndescription: Forms & colours.\ncorpora: [{card: shapes}]\n")
    write_selection(run)
    uids = read_columns(run / "signals/samples.parquet", ["uid"])["uid"]
    write_table(
        run / "signals/alignment.parquet", {"uid": uids, "score": [int(uid[:4], 16) / 65_536 - 0.3 for uid in uids]}
    )
    files.write_json(run / "reports/calibration/calibration.json", CALIBRATION)
    encoders = EmbedConfig(image_size=64)
    embed(encoders, run, run)
    build_index(IndexConfig(), encoders, run, run)
    model = ModelConfig(
        name="tiny",
        image_size=32,
        embedding_size=16,
        vision=VisionConfig(widths=(8, 16), blocks=(1, 1)),
        text=TextConfig(vocab_size=300, max_length=8, width=16, layers=1, heads=2),
        fusion=FusionConfig(width=16, layers=1, heads=2),
    )
    tokenizer = train_tokenizer(read_columns(run / "signals/samples.parquet")["caption"], 300)
    save_model(build_model(model, tokenizer.vocab_size, seed=1), tokenizer, model, run / "models/tiny")
    metrics = [
        {"step": step, "stage": 1 + step // 40, "contrastive": 5 / step, **({"matching": 0.5} if step % 20 else {})}
        for step in range(10, 101, 10)
    ]
    (run / "models/tiny/metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    evaluate(EvaluateConfig(resamples=100, rerank_top=5), run / "stages", run / "models/tiny", run)
    return run


def write_selection(run: Path) -> None:
    """Write verdicts and a funnel: of 160 drawings 4 are dropped for safety, 6 as duplicates."""
    samples = read_columns(run / "signals/samples.parquet", ["uid", "caption"])
    uids = dict(zip(samples["caption"], samples["uid"], strict=True))
    verdicts = dict.fromkeys(samples["uid"], (True, "", "", "", 0.0))
    for place in ("", " here", " up high", " far down below"):
        verdicts[uids[f"black arc{place}"]] = (False, "safety", "weapon", "", 0.0)
    for number, shape in enumerate(("circle", "square", "line")):
        for place, partner in ((" here", ""), (" up high", " far down below")):
            score = 0.99 - number / 100
            verdicts[uids[f"red {shape}{place}"]] = (
                False, "duplicates", "near_duplicate", uids[f"red {shape}{partner}"], score,
            )  # fmt: skip
    columns = ("kept", "step", "reason", "partner", "score")
    write_table(
        run / "selection/verdicts.parquet",
        {"uid": list(verdicts), **{name: [v[i] for v in verdicts.values()] for i, name in enumerate(columns)}},
    )
    steps = [
        {"step": "captions", "in": 160, "kept": 160, "dropped": {"too_long": 0}},
        {"step": "safety", "in": 160, "kept": 156, "dropped": {"weapon": 4}},
        {"step": "duplicates", "in": 156, "kept": 150, "dropped": {"exact_duplicate": 0, "near_duplicate": 6}},
    ]
    files.write_json(run / "selection/funnel.json", {"steps": steps})
