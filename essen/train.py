"""Training: staged shards in, a model's folder out; killed anywhere, it goes on and ends in the same bytes."""

import contextlib
import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from essen.batches import TrainingData, answer, expect, make_batch, open_training_data
from essen.config import ModelConfig, TrainConfig
from essen.errors import DivergedError, StopRequested
from essen.export import save_model
from essen.metrics import MetricsFile
from essen.model import Essen, build_model
from essen.objectives.combine import compute_losses
from essen.randomness import DROPOUT, torch_state_for
from essen.sampling.sampler import Logits, Question, Rows, next_batch
from essen.state import TrainState, load_checkpoint, save_checkpoint
from pipeline import files

Counts = dict[str, Any]
Report = Callable[[int, dict[str, float]], None]


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

    Checkpoints and the log lie in ``out/training``; what is found there is gone on with, also after the model's folder
    has been moved away.

    Args:
        model_config: the model.
        train_config: the training.
        stages: a folder with ``manifest.json``.
        out: the scratch directory that stands for the run directory.
        should_stop: asked before every step.
        report: called after every step with the number of finished steps and with losses, learning rate, samples a
            second and the share of the step in which pictures were `waited` for.

    Returns:
        Counts: steps, samples that may be trained on, pairs seen, skipped steps, parameters, precision, threads; and
        `scored`, pairs that were looked at for the sampler alone, where it asks for that.

    Raises:
        DataError, StagesError: the stages are missing, damaged, empty, or lack what the sampler needs.
        EssenError: the checkpoints in `out` are of another training, or the reference model is missing.
        DivergedError: the loss was no number for more than ``max_skipped`` steps in a row.
        StopRequested: `should_stop` said so; a checkpoint has been written.
    """
    with _threads(train_config.threads):
        bf16 = uses_bf16(train_config.precision)
        data = open_training_data(model_config, train_config, stages, bf16=bf16)
        state = _initial_state(model_config, train_config, data.tokenizer.vocab_size)
        identity = _identity(model_config, train_config, data, bf16)
        own = out / "training"
        if load_checkpoint(state, identity, own, warn=warnings.warn):
            data.sampler.load_state_dict(state.sampler)
        metrics = MetricsFile(own / "metrics.jsonl", state.metrics_bytes)

        def save() -> None:
            state.metrics_bytes = metrics.sync()
            state.sampler = data.sampler.state_dict()
            save_checkpoint(state, identity, own)

        with contextlib.closing(metrics), contextlib.closing(data.pictures):
            while state.step < train_config.steps:
                if should_stop():
                    save()
                    raise StopRequested(f"stopped after step {state.step}; the same command goes on from there")
                _advance(state, data, train_config, bf16=bf16, metrics=metrics, report=report, out=out)
                if state.step % train_config.checkpoint_every == 0 or state.step == train_config.steps:
                    save()
        final = state.average or state.model
        folder = out / "models" / model_config.name
        save_model(final, data.tokenizer, model_config, folder)
        files.write_bytes(folder / "metrics.jsonl", (own / "metrics.jsonl").read_bytes())
        return {
            "steps": state.step,
            "samples": data.trained,
            "seen": state.step * train_config.batch_size,
            "skipped": state.skipped,
            **({"scored": state.scored} if state.scored else {}),
            "parameters": sum(parameter.numel() for parameter in final.parameters()),
            "precision": identity["precision"],
            "threads": identity["threads"],
        }


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of a step, counted from 0: linear warm-up, then a cosine down to `final_rate`."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    cosine = (1 + math.cos(math.pi * min(1.0, progress))) / 2
    return config.learning_rate * (config.final_rate + (1 - config.final_rate) * cosine)


def build_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Return AdamW with weight decay on what has two dimensions or more, and none on biases, norms and temperature."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def uses_bf16(precision: str) -> bool:
    """Tell whether to compute in bf16: as asked, or for ``auto`` where the processor has instructions for it."""
    if precision == "auto":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
    return precision == "bf16"


def _identity(model_config: ModelConfig, config: TrainConfig, data: TrainingData, bf16: bool) -> dict[str, str | int]:
    """Return what must be equal for a resume to give equal bytes."""
    named_below_or_without_effect = {"threads", "precision", "checkpoint_every", "image_memory"}
    content = [
        model_config.model_dump(mode="json"),
        config.model_dump(mode="json", exclude=named_below_or_without_effect),
    ]
    return {
        "configuration": files.digest(content)[:16],
        "stages": data.digest[:16],
        **({"reference": data.reference_sha256[:16]} if data.reference_sha256 else {}),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "precision": "bf16" if bf16 else "fp32",
    }


def _initial_state(model_config: ModelConfig, config: TrainConfig, vocab_size: int) -> TrainState:
    model = build_model(model_config, vocab_size, config.seed).to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval() if config.ema_decay else None
    return TrainState(model=model.train(), average=average, optimiser=build_optimiser(model, config))


def _advance(
    state: TrainState,
    data: TrainingData,
    config: TrainConfig,
    *,
    bf16: bool,
    metrics: MetricsFile,
    report: Report,
    out: Path,
) -> None:
    """Do one step: batch, losses, update, log."""
    started, waited = time.monotonic(), data.pictures.waited
    rows = _next_rows(state, data, bf16)
    batch = make_batch(data, config, rows, state.step)
    if state.step + 1 < config.steps:
        expect(data, state.step + 1)
    # A batch that is no number would stay in the norms' running statistics for good.
    buffers = [buffer.clone() for buffer in state.model.buffers()]
    with torch_state_for(config.seed, state.step, DROPOUT):
        losses = compute_losses(
            state.model, data.tokenizer, batch, config.objectives, seed=config.seed, step=state.step, bf16=bf16
        )
        losses.total.backward()
    rate = learning_rate(config, state.step)
    if _update(state, config, rate):
        state.failed = []
    else:
        for buffer, before in zip(state.model.buffers(), buffers, strict=True):
            buffer.copy_(before)
        state.skipped += 1
        state.failed.append(rows.tolist())
    state.step += 1
    if state.skipped_in_row > config.max_skipped:
        _give_up(state, data, out)
    values = {**losses.values, "learning_rate": rate, "temperature": math.exp(-state.model.logit_scale.item())}
    if state.step % config.log_every == 0 and not state.skipped_in_row:
        stage = data.sampler.stage(state.step - 1)
        line = {"step": state.step, "stage": stage, "skipped": state.skipped, **values, **_cost(state, data, config)}
        metrics.write({**line, **data.sampler.report(state.step - 1)})
    seconds = time.monotonic() - started
    speed = {"samples_per_second": config.batch_size / seconds, "waited": (data.pictures.waited - waited) / seconds}
    report(state.step, {**values, **speed})


def _next_rows(state: TrainState, data: TrainingData, bf16: bool) -> Rows:
    """Return the rows of the next batch, after the sampler's questions have been answered and counted."""

    def answered(question: Question) -> Logits:
        if question.of == "learner":
            state.scored += len(question.rows)
        return answer(data, state.model, question, bf16=bf16)

    return next_batch(data.sampler, state.step, answered)


def _cost(state: TrainState, data: TrainingData, config: TrainConfig) -> dict[str, int]:
    """Return what a sampler that asks questions has cost so far; nothing for one that asks none.

    `forward_units` counts passes of one pair through both towers, 3 for a pair that is trained on (forward and
    backward). The reference looks at every pair once, at the start; it counts like the learner, whatever its size.
    """
    reference = len(data.pairs) if data.reference else 0
    if not state.scored:
        return {}
    units = 3 * state.step * config.batch_size + state.scored + reference
    return {"scored": state.scored, "reference_scored": reference, "forward_units": units}


def _update(state: TrainState, config: TrainConfig, rate: float) -> bool:
    """Apply the gradients; return False, with nothing changed, where they are no numbers."""
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
    if norm.isfinite():
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        state.optimiser.step()
        state.model.clamp_temperature()
        if state.average is not None:
            _follow(state.average, state.model, min(config.ema_decay, (1 + state.step) / (10 + state.step)))
    state.optimiser.zero_grad()
    return bool(norm.isfinite())


@torch.no_grad()
def _follow(average: Essen, model: Essen, decay: float) -> None:
    """Move the average towards the model; counters, which are whole numbers, are taken over."""
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _give_up(state: TrainState, data: TrainingData, out: Path) -> None:
    """Write down which samples the last batches held, and end."""
    path = out / "diverged.json"
    first = state.step - state.skipped_in_row + 1
    batches = enumerate(state.failed, start=first)
    files.write_json(path, [{"step": step, "uids": [data.pairs.uids[row] for row in rows]} for step, rows in batches])
    raise DivergedError(
        f"the loss was no number for {state.skipped_in_row} steps in a row, up to step {state.step}: lower "
        f"train.learning_rate, or look at the samples that {path} lists"
    )


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use so many threads, or as many as it did where the number is 0."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
