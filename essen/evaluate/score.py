"""Any model on anything that can be scored: ``essen evaluate MODEL --on FILE|DIR``.

What is read: manifests of trials and NLVR's folder (`essen.evaluate.trials`), labelled and captioned pictures, and
stages directories (`essen.evaluate.sets`). The record, format ``essen-scores/1``::

    {"format", "model": {"name", "kind": "essen" | "open_clip", "image_size", "parameters", "weights_sha256"},
     "teacher": {"name", "kind", "weights_sha256"} (only where heads have one),
    "config": all of `essen.config.ScoreConfig` that decides a score, "precision": "bf16" | "fp32",
     "sets": [{"name", "task", "pictures", "captions",
       "sha256": of the pictures' sha256, the captions and the answers, in the order in which they are read,
       "scores": [{"measure", "scorer": "towers" | "fusion" | "head" | "probe",
         "n": number of items, "gallery": number of things to choose from | null,
         "unit": "item" | "group" (what the bootstrap draws), "units": how many of them,
         "value", "interval": [low, high] | null,
         "controls": {"no_picture" | "no_text" | "shuffled_pictures" | "shuffled_captions" | "chance":
                      {"value", "interval"}},
         "lower_is_better": true, "note": text (both only where they apply)}]}]}

A set's random draws depend on the seed and its place in the list alone. Nothing of the machine is in the record.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from essen.computing import uses_bf16
from essen.config import ScoreConfig
from essen.errors import TrialsError
from essen.evaluate.choice import choice_measures, choice_slots
from essen.evaluate.controls import pair_scores
from essen.evaluate.encoders import Encoder, Features, joined, load_encoder, similarities
from essen.evaluate.heads import HeadTask, head_measure, task_sides
from essen.evaluate.measures import Measure, summarise
from essen.evaluate.pictures import Source, encode_pictures
from essen.evaluate.recall import recall_measures
from essen.evaluate.same_word import same_word_measures
from essen.evaluate.sets import CaptionedPictures, LabelledPictures, read_sets
from essen.evaluate.trials import ENTAILMENT, HeadManifest, Manifest, TruthManifest, read_manifest, read_nlvr
from essen.evaluate.truth import truth_items, truth_measures, truth_slots
from essen.evaluate.within import within_measures
from essen.evaluate.zero_shot import class_scores, probe_measures, prompts, zero_shot_measures
from pipeline import files
from pipeline.memory import kept_memory

FORMAT = "essen-scores/1"
NAMED_ELSEWHERE_OR_WITHOUT_EFFECT: dict[str, Any] = {"batch_size": True, "head": {"teacher"}}
Scored = tuple[list[Measure], dict[str, Any]]


def score(spec: str, places: Sequence[Path], config: ScoreConfig) -> dict[str, Any]:
    """Return the record of a model's scores; see the module's text.

    Args:
        spec: the model; see `essen.evaluate.encoders`.
        places: what it is scored on.
        config: how.

    Raises:
        EssenError: the model, or the teacher of its heads, cannot be read.
        TrialsError: something to score on cannot be read.
    """
    return score_encoder(load_encoder(spec, config), places, config)


@kept_memory()
def score_encoder(encoder: Encoder, places: Sequence[Path], config: ScoreConfig) -> dict[str, Any]:
    """Return the record of an encoder's scores; as `score`, for a model at hand.

    Raises:
        EssenError: the teacher of its heads cannot be read.
        TrialsError: something to score on cannot be read.
    """
    read = [entry for place in places for entry in _read(place)]
    teacher = load_encoder(config.head.teacher, config) if config.head.teacher else None
    sets = []
    for number, (folder, entry) in enumerate(read):
        seed = [config.seed, number]
        measures, about = _score_set(encoder, teacher, folder, entry, config, seed)
        scores = [summarise(measure, config, [*seed, 9]) for measure in measures]
        sets.append({"name": entry.name, **about, "scores": scores})
    return {
        "format": FORMAT,
        "model": {
            "name": encoder.name,
            "kind": encoder.kind,
            "image_size": encoder.image_size,
            "parameters": encoder.parameters,
            "weights_sha256": encoder.weights_sha256,
        },
        **({} if teacher is None else {"teacher": _named(teacher)}),
        "config": config.model_dump(mode="json", exclude=NAMED_ELSEWHERE_OR_WITHOUT_EFFECT),
        "precision": "bf16" if uses_bf16(config.precision) else "fp32",
        "sets": sets,
    }


def _read(place: Path) -> list[tuple[Path, Manifest | LabelledPictures | CaptionedPictures]]:
    """Return what lies at a place, each with the folder from which its paths start."""
    if not place.exists():
        raise TrialsError(f"{place} does not exist; name a manifest of trials or a folder")
    if place.is_file() and place.suffix == ".json":
        return [(place.parent, read_manifest(place))]
    if (place / "sentences.json").is_file():
        return [(place, read_nlvr(place))]
    return [(place, entry) for entry in read_sets(place)]


def _named(teacher: Encoder) -> dict[str, str]:
    return {"name": teacher.name, "kind": teacher.kind, "weights_sha256": teacher.weights_sha256}


def _score_set(
    encoder: Encoder,
    teacher: Encoder | None,
    folder: Path,
    entry: Manifest | LabelledPictures | CaptionedPictures,
    config: ScoreConfig,
    seed: list[int],
) -> Scored:
    if isinstance(entry, LabelledPictures):
        return _score_labels(encoder, entry, config, seed)
    if isinstance(entry, CaptionedPictures):
        return _score_captions(encoder, entry, config, seed)
    return _score_trials(encoder, teacher, folder, entry, config, seed)


def _score_trials(
    encoder: Encoder, teacher: Encoder | None, folder: Path, manifest: Manifest, config: ScoreConfig, seed: list[int]
) -> Scored:
    names = list(dict.fromkeys(name for trial in manifest.trials for name in trial.images))
    if manifest.task == "choice":
        captions = list(dict.fromkeys(text for trial in manifest.trials for text in trial.texts))
    else:
        captions = list(dict.fromkeys(trial.text for trial in manifest.trials))
    sources = [Source(folder / name) for name in names]
    pictures = encode_pictures(encoder, sources, config.fit, config.batch_size)
    texts = encoder.encode_texts([*captions, ""])
    text_row = {caption: row for row, caption in enumerate(captions)}
    image_row = {name: row for row, name in enumerate(names)}
    grey = len(names)
    if manifest.task == "choice":
        slots = choice_slots(manifest.trials, text_row, image_row, grey)
        scores = pair_scores(encoder, texts, pictures.features, slots, [*seed, 0])
        measures = choice_measures(manifest.trials, scores, [*seed, 1])
    elif manifest.task == "truth":
        slots = truth_slots(manifest.trials, text_row, image_row, grey)
        scores = pair_scores(encoder, texts, pictures.features, slots, [*seed, 0])
        measures = truth_measures(manifest.trials, scores, [*seed, 1])
    else:
        measures = []
    if (task := _head_task(manifest, text_row, image_row, config, [*seed, 1])) is not None:
        function = _pair_features(encoder, texts, pictures.features, config.pair_features)
        shown = None
        if teacher is not None:
            seen = encode_pictures(teacher, sources, config.fit, config.batch_size)
            shown = _pair_features(teacher, teacher.encode_texts([*captions, ""]), seen.features, "auto")
        measures.append(head_measure(task, function, config.head, [*seed, 2], shown))
    answers = [trial.model_dump(mode="json") for trial in manifest.trials]
    return measures, _about(manifest.task, pictures.sha256, captions, answers)


def _score_labels(encoder: Encoder, labelled: LabelledPictures, config: ScoreConfig, seed: list[int]) -> Scored:
    pictures = encode_pictures(encoder, labelled.sources, config.fit, config.batch_size)
    texts = prompts(labelled.classes, labelled.templates or config.templates)
    measures = []
    if config.zero_shot:
        features = encoder.encode_texts(texts)
        scores = class_scores(encoder, features, pictures.features, len(labelled.classes), config.rerank_top)
        measures += zero_shot_measures(scores, labelled, [*seed, 0])
    if config.probe and len(set(labelled.groups)) > 1:
        measures += probe_measures(pictures.features, labelled, config, [*seed, 1])
    return measures, _about("classes", pictures.sha256, texts, labelled.labels.tolist())


def _score_captions(encoder: Encoder, entry: CaptionedPictures, config: ScoreConfig, seed: list[int]) -> Scored:
    pictures = encode_pictures(encoder, entry.sources, config.fit, config.batch_size)
    texts = encoder.encode_texts(entry.captions)
    measures = recall_measures(
        encoder,
        texts,
        pictures.features,
        entry.galleries,
        entry.groups,
        rerank_top=config.rerank_top,
        seed=[*seed, 0],
    )
    similarity = similarities(texts, pictures.features)
    measures += within_measures(similarity[:, :-1], entry.galleries, entry.groups, [*seed, 1])
    measures += same_word_measures(similarity[:, :-1], entry.galleries, entry.captions, entry.groups)
    pairs = [entry.galleries.caption_of.tolist(), entry.galleries.image_of.tolist()]
    return measures, _about("retrieval", pictures.sha256, entry.captions, pairs)


def _head_task(
    manifest: Manifest, text_row: dict[str, int], image_row: dict[str, int], config: ScoreConfig, seed: list[int]
) -> HeadTask | None:
    """Return what a head is to learn, None where there is nothing."""
    if isinstance(manifest, HeadManifest):
        trials, groups = manifest.trials, [trial.unit for trial in manifest.trials]
        known = {answer for trial in trials for answer in trial.answers}
        answers = list(ENTAILMENT) if manifest.task == "entailment" else sorted(known)
        targets = np.array([[trial.answers.get(answer, 0.0) for answer in answers] for trial in trials])
        texts = [text_row[trial.text] for trial in trials]
        images = [[image_row[name] for name in trial.images] for trial in trials]
        splits: list[str | None] = [trial.split for trial in trials]
    elif isinstance(manifest, TruthManifest) and config.heads:
        labels, groups = truth_items(manifest.trials)
        targets = np.stack([~labels, labels], axis=1).astype(np.float64)
        texts = [text_row[trial.text] for trial in manifest.trials for _ in trial.images]
        images = [[image_row[name]] for trial in manifest.trials for name in trial.images]
        splits = [None] * len(texts)
    else:
        return None
    if len(set(groups)) < 2:
        raise TrialsError(f"{manifest.name}: a head learns from some groups and answers others; give at least two")
    side, tested = task_sides(groups, splits, seed)
    return HeadTask(
        texts=np.array(texts, np.int64),
        images=np.array(images, np.int64),
        targets=targets,
        groups=groups,
        side=side,
        tested=tested,
        several=manifest.task == "answer",
        empty=len(text_row),
        grey=len(image_row),
    )


def _pair_features(encoder: Encoder, texts: Features, images: Features, kind: str) -> Any:
    fused = encoder.fuses if kind == "auto" else kind == "fused"
    return partial(encoder.fused if fused else joined, texts, images)


def _about(task: str, pictures: list[str], captions: list[str], answers: Any) -> dict[str, Any]:
    digest = files.digest([pictures, captions, answers])
    return {"task": task, "pictures": len(pictures), "captions": len(captions), "sha256": digest}
