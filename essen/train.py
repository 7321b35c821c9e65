"""Training: staged shards in, a model's folder out; killed anywhere, it goes on at the step and ends in the same bytes."""

import contextlib
import copy
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from essen.augment import augment
from essen.config import ModelConfig, TrainConfig
from essen.data import Pairs, Pictures, read_pairs
from essen.errors import DivergedError, StopRequested
from essen.export import save_model
from essen.model import Essen, build_model
from essen.objectives.combine import Batch, Losses, compute_losses
from essen.randomness import AUGMENT, DROPOUT, generator_for, torch_state_for
from essen.sampling.random import Sampler
from essen.sampling.staged import build_sampler
from essen.state import TrainState, load_checkpoint, save_checkpoint
from essen.tokenizer import CaptionTokenizer, train_tokenizer
from pipeline import files
from pipeline.shards.read import open_stages

Counts = dict[str, Any]
Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The training pairs in all the forms that a step needs; `ids`, `mask`, `words` are by `Pairs.caption_of`."""

    pairs: Pairs
    pictures: Pictures
    tokenizer: CaptionTokenizer
    ids: Tensor
    mask: Tensor
    words: Tensor
    sampler: Sampler
    digest: str


def train(
    model_config: ModelConfig,
    train_config: TrainConfig,
    stages: Path,
    out: Path,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    report: Report = lambda _step, _values: None,
) -> Counts:
    """Train a model on all stages and write it to ``out/models/<name>``.

    Checkpoints lie in ``out/checkpoints``; what is found there is gone on with.

    Args:
        stages: a folder with ``manifest.json``.
        out: the scratch directory that stands for the run directory.
        should_stop: asked before every step.
        report: called after every step with the finished steps and their losses, learning rate and samples a second.

    Returns:
        Counts: steps, samples of the training set, pairs seen, skipped steps, parameters, precision, threads.

    Raises:
        DataError, StagesError: the stages are missing, damaged or empty.
        EssenError: the checkpoints in `out` are of another training.
        DivergedError: the loss was no number for more than ``max_skipped`` steps in a row.
        StopRequested: `should_stop` said so; a checkpoint has been written.
    """
    with _threads(train_config.threads):
        data = _read(model_config, train_config, stages)
        bf16 = _use_bf16(train_config.precision)
        state = _initial_state(model_config, train_config, data.tokenizer.vocab_size)
        identity = _identity(model_config, train_config, data.digest, bf16)
        load_checkpoint(state, identity, out / "checkpoints", warn=warnings.warn)
        folder = out / "models" / model_config.name
        folder.mkdir(parents=True, exist_ok=True)
        with _metrics_file(folder / "metrics.jsonl", state.metrics_bytes) as metrics:
            save = lambda: _save(state, identity, metrics, out / "checkpoints")  # noqa: E731
            while state.step < train_config.steps:
                if should_stop():
                    save()
                    raise StopRequested(f"stopped after step {state.step}; the same command goes on from there")
                _do_step(state, data, train_config, bf16, out, metrics, report)
                if state.step % train_config.checkpoint_every == 0 or state.step == train_config.steps:
                    save()
        final = state.model if state.average is None else state.average
        save_model(final, data.tokenizer, model_config, folder)
        return {
            "steps": state.step,
            "samples": len(data.pairs),
            "seen": state.step * train_config.batch_size,
            "skipped": state.skipped,
            "parameters": sum(parameter.numel() for parameter in final.parameters()),
            "precision": "bf16" if bf16 else "fp32",
            "threads": torch.get_num_threads(),
        }
