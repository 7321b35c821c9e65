"""The model card: what a model is, what it learned from, what it scored, and how it is used."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from essen.adapt.learning import count_learning
from essen.config import BackboneConfig, ModelConfig, PretrainedTextConfig
from essen.evaluate.evaluate import FORMAT as EVALUATION_FORMAT
from essen.export.onnx_files import OPSET
from essen.model import Essen
from pipeline import files
from pipeline.licences import hub_licence
from pipeline.shards.read import open_stages

UNKNOWN = "[More Information Needed]"
ROWS = ("trained", "reranked", "untrained", "shuffled", "chance")

USE = """```python
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

model = AutoModel.from_pretrained(folder, trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
captions = tokenizer(["a red ball"], padding=True, truncation=True, return_tensors="pt")
pictures = processor(images, return_tensors="pt")
model(**captions, **pictures).logits_per_image  # cosines over the temperature
model.match(**captions, **pictures)             # the fusion's logits, pair by pair
```"""

CHECKPOINT_USE = """```python
from pathlib import Path

from huggingface_hub import HfApi

for checkpoint in Path(folder, "checkpoints").iterdir():
    HfApi().create_branch(repository, branch=checkpoint.name)
    HfApi().upload_folder(repo_id=repository, folder_path=checkpoint, revision=checkpoint.name)
```"""

ONNX_USE = [
    "",
    f"ONNX (opset {OPSET}), any batch and caption length: `onnx/image.onnx` takes `pixel_values`; `onnx/text.onnx` "
    "takes `input_ids` and `attention_mask`; both give embeddings of unit length and tokens. `onnx/fusion.onnx`, where "
    "the model has a fusion, takes the tokens and the mask of B pairs and gives `match_logits`. Files that end in "
    "`_int8` take and give the same.",
]

LIMITS = """- It tells pictures and captions apart; it writes no text and draws no picture.
- It is small and knows the words and the kinds of picture of its training data; elsewhere expect chance.
- Scores hold for galleries of the size given. A larger gallery is harder.
- It has not been examined for social bias, and must not decide anything about people."""


def model_card(model: Essen, record: dict[str, Any], run: Path | None, licence: str = "") -> str:
    """Return the text of a ``README.md`` with the hub's front matter.

    Args:
        model: that is described.
        record: of the export; see `essen.export.export`.
        run: the run directory that it comes from, for its data and scores; None where that is unknown.
        licence: of the weights, an SPDX identifier; left open where it is empty.
    """
    config = model.config
    head: dict[str, Any] = {"language": _languages(run), "library_name": "transformers"}
    head["pipeline_tag"] = "zero-shot-image-classification"
    head["tags"] = ["essen", "vision-language", "curriculum"]
    if licence:
        head["license"] = hub_licence(licence)
    if licence and head["license"] == "other":
        head["license_name"] = licence
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=True)}---",
        f"# {config.name}",
        "A compact model of pictures and captions after ESsEN (arXiv 2604.18452): two vectors whose cosine finds, and "
        "a fusion module that judges a pair.",
        _section("Model", _model_lines(model, record)),
        _section("Use", _use_lines(config, record)),
        _section("Training data", _data_lines(run, record)),
        _section("Scores", _score_lines(run, record)),
        _section("Forms", _form_lines(record)),
        *([_section("Checkpoints", _checkpoint_lines(record))] if "checkpoints" in record else []),
        _section("Limits", [LIMITS]),
        _section("Licence", [_licence(licence)]),
    ]
    return "\n\n".join(parts) + "\n"


def _languages(run: Path | None) -> list[str]:
    """Return the languages of the captions that the model learned from; English where that is unknown."""
    if run is None:
        return ["en"]
    stages = open_stages(run / "stages").stages
    return sorted({str(lang) for part in stages for lang in part.table.column("lang").unique().to_pylist()})


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([f"## {title}", "", *lines])


def _table(titles: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (titles, ["---"] * len(titles), *rows)]


def _model_lines(model: Essen, record: dict[str, Any]) -> list[str]:
    config, numbers = model.config, Counter[str]()
    for name, parameter in model.named_parameters():
        numbers[name.partition(".")[0]] += parameter.numel()
    parts = {
        "vision tower": numbers.pop("vision", 0),
        "text tower": numbers.pop("text", 0),
        "fusion": numbers.pop("fusion", 0),
        "head of masked words (training alone)": numbers.pop("word_head", 0),
    }
    if "shared" in numbers:
        parts["shared by both towers"] = numbers.pop("shared")
    parts["projections and heads"] = sum(numbers.values())
    rows = [[name, f"{number:,}"] for name, number in parts.items()]
    return [
        f"Pictures of {config.image_size}×{config.image_size} pixels, captions of at most {config.text.max_length} of "
        f"{model.vocab_size:,} word pieces, a joint space of {config.embedding_size}. Vision: {_vision(config)}. "
        f"Text: {_text(config)}. Fusion: {config.fusion.kind}. Weights: sha256 `{record['weights_sha256']}`."
        f"{_adapted(model)}",
        "",
        *_table(["part", "parameters"], [*rows, ["**all**", f"**{sum(parts.values()):,}**"]]),
    ]


def _adapted(model: Essen) -> str:
    """Return a sentence on what of the model was trained; empty where that is all of it."""
    counts = count_learning(model)
    if "trainable" not in counts:
        return ""
    return (
        f" Trained: {counts['trainable']:,} parameters, {counts['trainable_in_towers']:,} of them in the towers "
        f"(adaptation: {model.config.adapt.kind}); the rest are as they were at the start."
    )


def _vision(config: ModelConfig) -> str:
    vision = config.vision
    return f"{vision.backbone} of timm" if isinstance(vision, BackboneConfig) else vision.kind


def _text(config: ModelConfig) -> str:
    text = config.text
    if isinstance(text, PretrainedTextConfig):
        return f"{text.architecture['model_type']} of transformers"
    return f"transformer of {text.layers} layers, width {text.width}"


def _use_lines(config: ModelConfig, record: dict[str, Any]) -> list[str]:
    return [
        "A picture is brought upright, its transparency put on white, scaled to fit a square of "
        f"{config.image_size} pixels (Lanczos), centred on white, and given as RGB of 0..1. What the tower subtracts "
        "and divides by is done inside. A caption is what `tokenizer.json` makes of it.",
        "",
        "Needs `transformers`, `pydantic`, and what the towers are made of.",
        "",
        USE,
        *(ONNX_USE if "onnx" in record else []),
    ]


def _data_lines(run: Path | None, record: dict[str, Any]) -> list[str]:
    if run is None:
        return [UNKNOWN]
    stages = open_stages(run / "stages")
    licences = Counter[str]()
    for part in stages.stages:
        licences.update(part.table.column("licence").to_pylist())
    rows = [
        [f"{part.stage} {part.name}", f"{part.entry['samples']:,}", f"{part.entry['words']:,}"]
        for part in stages.stages
    ]
    counted = ", ".join(f"{name or 'unknown'} {number:,}" for name, number in sorted(licences.items()))
    return [
        f"Staged pairs with the digest `{stages.digest}`; their data card and credits lie beside them.",
        "",
        *_table(["stage", "pairs", "words"], rows),
        "",
        f"Licences of the pairs: {counted}.",
        *_exposure_lines(run, record),
    ]


def _exposure_lines(run: Path, record: dict[str, Any]) -> list[str]:
    """Return how often the pairs were shown, as the training that made these weights has recorded it."""
    path = run / "steps/train.json"
    training = files.read_json(path) if path.is_file() else {"outputs": {}}
    if record["weights_sha256"] not in (output["sha256"] for output in training["outputs"].values()):
        return []
    counts = training["counts"]
    words = f" with {counts['words']:,} words" if "words" in counts else ""
    different = f", {counts['unique']:,} of them different" if "unique" in counts else ""
    return ["", f"Shown in {counts['steps']:,} steps: {counts['seen']:,} pairs{words}{different}."]


def _score_lines(run: Path | None, record: dict[str, Any]) -> list[str]:
    path = run / "reports/evaluation.json" if run is not None else None
    if path is None:
        return [UNKNOWN]
    if not path.is_file():
        return ["It has not been scored on the held-out sets of its run."]
    evaluation = files.read_json(path)
    if evaluation.get("format") != EVALUATION_FORMAT:
        return [UNKNOWN]
    if evaluation["model"]["weights_sha256"] != record["weights_sha256"]:
        return ["The scores of the run are those of other weights, so they are not repeated here."]
    rows = []
    for entry in evaluation["sets"]:
        for way in entry["directions"]:
            by_row = {row["row"]: row for row in way["rows"]}
            for name in (name for name in ROWS if name in by_row):
                cells = [_share(by_row[name]["recall"][k]) for k in ("1", "5", "10")]
                about = [entry["name"], way["direction"].replace("_", " "), str(way["queries"]), str(way["gallery"])]
                rows.append([*about, name, *cells])
    titles = ["set", "direction", "queries", "gallery", "row", "R@1", "R@5", "R@10"]
    return [
        f"Percent, with {100 * evaluation['level']:g} % bootstrap intervals; computed in {evaluation['precision']}.",
        "",
        *_table(titles, rows),
    ]


def _share(found: dict[str, Any]) -> str:
    value = f"{100 * found['value']:.1f}"
    return (
        f"{value} [{100 * found['interval'][0]:.1f}, {100 * found['interval'][1]:.1f}]" if found["interval"] else value
    )


def _form_lines(record: dict[str, Any]) -> list[str]:
    lines = [f"- {name}: {_worst(record[name]['difference'])}" for name in ("transformers", "onnx") if name in record]
    lines = [
        "Largest differences from the model in PyTorch over batches of 1 to 8, of embeddings and of a logit:",
        "",
        *lines,
    ]
    if "onnx" not in record:
        return lines
    onnx = record["onnx"]
    lines.append(f"- onnx int8: {_worst(onnx['int8']['difference'])}")
    lines += [
        "",
        f"ONNX files are {onnx['bytes'] / 1e6:.2f} MB, with int8 weights {onnx['int8']['bytes'] / 1e6:.2f} MB.",
    ]
    if not onnx["int8"].get("recall"):
        return lines
    rows = [
        [row["set"], row["direction"].replace("_", " "), row["scorer"], *_change(row)] for row in onnx["int8"]["recall"]
    ]
    titles = ["set", "direction", "scorer", "float32", "int8", "difference"]
    return [*lines, "", "R@1, percent, of the model in float32 and of its int8 form:", "", *_table(titles, rows)]


def _checkpoint_lines(record: dict[str, Any]) -> list[str]:
    names = record["checkpoints"]
    return [
        "The model as it was after so many words of captions, repetitions included. Each folder below `checkpoints/` "
        f"is a model of its own, in the form of Transformers: {', '.join(f'`{name}`' for name in names)}. "
        "As revisions of a repository, as BabyLM asks for them:",
        "",
        CHECKPOINT_USE,
    ]


def _worst(difference: dict[str, float]) -> str:
    return f"{max(difference['image'], difference['text']):.1e}, {difference['match']:.1e}"


def _change(row: dict[str, Any]) -> list[str]:
    return [
        f"{100 * row['value']:.2f}",
        f"{100 * row['quantised']:.2f}",
        _share({"value": row["difference"], "interval": row["interval"]}),
    ]


def _licence(licence: str) -> str:
    named = licence or UNKNOWN
    return f"The weights: {named}. The code: Apache-2.0. The pictures and captions keep their own, listed above."
