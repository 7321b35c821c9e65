"""One step of training: its batch, the gradients, the update or the reason against one, and the log."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn

from essen.adapt.learning import changing, mean_gate
from essen.batches import TrainingData, answer, expect, make_batch
from essen.config import TrainConfig
from essen.distributed import Ranks
from essen.errors import DivergedError
from essen.metrics import EventFiles, MetricsFile
from essen.model import Essen
from essen.objectives.cached import backward
from essen.objectives.combine import Learner
from essen.objectives.distillation import Distiller
from essen.rows import Passes, drops_out
from essen.sampling.sampler import Logits, Question, Rows, next_batch
from essen.schedule import learning_rate
from essen.state import TrainState, read_anchor, restore, tensors_of
from essen.stopping import Examination
from pipeline import files

Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training that is under way in this process.

    Attributes:
        initial: returns the state before the first step.
        bf16: whether towers and fusion compute in bfloat16.
        compiled: whether they are compiled.
        distiller: who teaches the model, or None.
        folder: of the checkpoints.
        metrics, events: the log, of rank 0 alone.
        examination: of early stopping, or None.
        report: called after every step.
        list_at: where the samples are listed that made it end.
    """

    state: TrainState
    initial: Callable[[], TrainState]
    data: TrainingData
    config: TrainConfig
    bf16: bool
    compiled: bool
    distiller: Distiller | None
    ranks: Ranks
    folder: Path
    metrics: MetricsFile | None
    events: EventFiles | None
    examination: Examination | None
    report: Report
    list_at: Path

    def log(self, line: dict[str, Any]) -> None:
        """Write a line of the log."""
        if self.metrics is not None:
            self.metrics.write(line)


def advance(training: Training) -> None:
    """Do one step.

    Raises:
        DivergedError: too many steps in a row were without an update, also after a roll-back.
    """
    state, data, config = training.state, training.data, training.config
    started, waited = time.monotonic(), data.pictures.waited
    rows = _next_rows(training)
    if state.seen is not None:
        state.seen[torch.from_numpy(rows)] = True
    if state.words is not None:
        state.words += int(data.word_counts[rows].sum())
    batch = make_batch(data, config, rows, state.step, training.ranks)
    if state.step + 1 < config.steps:
        expect(data, state.step + 1, training.ranks)
    # A batch that is no number would stay in the norms' running statistics for good.
    buffers = [buffer.clone() for buffer in state.model.buffers()]
    learner = Learner(state.model, data.tokenizer, state.bias, training.distiller)
    losses = backward(learner, batch, config.objectives, _passes(training))
    rate = learning_rate(config, state.step)
    if _update(state, config, rate, training.ranks):
        state.failed = []
    else:
        for buffer, before in zip(state.model.buffers(), buffers, strict=True):
            buffer.copy_(before)
        state.skipped += 1
        state.failed.append(rows.tolist())
    state.step += 1
    _mend(training)
    values = {**losses, "learning_rate": rate, "temperature": math.exp(-state.model.logit_scale.item())}
    if state.bias is not None:
        values["bias"] = state.bias.value.item()
    if (gate := mean_gate(state.model)) is not None:
        values["gate"] = gate
    seconds = time.monotonic() - started
    speed = {"samples_per_second": config.batch_size / seconds, "waited": (data.pictures.waited - waited) / seconds}
    _log(training, values, speed)
    training.report(state.step, {**values, **speed})


def examine(training: Training) -> None:
    """Score the model on the held-out set, keep it if it is the best so far, and stop after too many that were not."""
    state, stopping, examination = training.state, training.config.stopping, training.examination
    assert examination is not None and state.best is not None, "made where early stopping is on"
    score = training.ranks.tell(examination.score(state.learnt, bf16=training.bf16) if training.ranks.writes else None)
    if state.best_step == 0 or score > state.best_score:
        state.best_score, state.best_step, state.worse = score, state.step, 0
        state.best.load_state_dict(state.learnt.state_dict())
    else:
        state.worse += 1
        state.stopped = state.worse >= stopping.patience
    values = {"held_out_recall": score, "best_step": state.best_step}
    training.log({"step": state.step, **values})
    if training.events is not None:
        training.events.write(state.step, values)


def build_optimiser(model: nn.Module, config: TrainConfig, *beside: nn.Module) -> torch.optim.AdamW:
    """Return AdamW of what learns; weight decay on what has two dimensions or more, none on norms and temperature."""
    everything = [parameter for module in (model, *beside) for parameter in module.parameters()]
    parameters = [parameter for parameter in everything if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def _passes(training: Training) -> Passes:
    return Passes(
        seed=training.config.seed,
        step=training.state.step,
        bf16=training.bf16,
        micro_batch=training.config.micro_batch,
        ranks=training.ranks,
        by_row=drops_out(training.state.model) and not training.compiled,
    )


def _next_rows(training: Training) -> Rows:
    """Return the rows of the next batch, after the sampler's questions have been answered and counted."""
    state, data = training.state, training.data

    def answered(question: Question) -> Logits:
        if question.of == "learner":
            state.scored += len(question.rows)
        return answer(data, state.model, question, bf16=training.bf16)

    return next_batch(data.sampler, state.step, answered)


def _log(training: Training, values: dict[str, float], speed: dict[str, float]) -> None:
    state, data = training.state, training.data
    if state.step % training.config.log_every or state.skipped_in_row:
        return
    stage = data.sampler.stage(state.step - 1)
    line = {"step": state.step, "stage": stage, "skipped": state.skipped, **values, **_cost(training)}
    training.log({**line, **data.sampler.report(state.step - 1)})
    if training.events is not None:
        training.events.write(state.step, {"stage": stage, "skipped": state.skipped, **values, **speed})


def _cost(training: Training) -> dict[str, int]:
    """Return what a sampler that asks questions has cost so far; nothing for one that asks none.

    `forward_units` counts passes of one pair through both towers, 3 for a pair that is trained on (forward and
    backward), one more where it goes through them twice. The reference looks at every pair once, at the start; it
    counts like the learner, whatever its size.
    """
    state, data, config = training.state, training.data, training.config
    reference = len(data.pairs) if data.reference else 0
    if not state.scored:
        return {}
    twice = 0 < config.micro_batch < config.batch_size // training.ranks.world
    units = (4 if twice else 3) * state.step * config.batch_size + state.scored + reference
    return {"scored": state.scored, "reference_scored": reference, "forward_units": units}


def _update(state: TrainState, config: TrainConfig, rate: float, ranks: Ranks) -> bool:
    """Apply the gradients; return False, with nothing changed, where they are no numbers."""
    # In the model's order, so that the norm is summed as it always was.
    parameters = [parameter for module in (state.model, *state.beside) for parameter in module.parameters()]
    ranks.add_up_gradients(parameters)
    norm = nn.utils.clip_grad_norm_(parameters, config.clip)
    if norm.isfinite():
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        state.optimiser.step()
        state.model.clamp_temperature()
        if state.bias is not None:
            state.bias.clamp()
        if state.average is not None:
            _follow(state.average, state.model, min(config.ema_decay, (1 + state.step) / (10 + state.step)))
    state.optimiser.zero_grad()
    return bool(norm.isfinite())


@torch.no_grad()
def _follow(average: Essen, model: Essen, decay: float) -> None:
    """Move the average towards the model; counters, which are whole numbers, are taken over."""
    for mean, value in zip(changing(average).values(), changing(model).values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _mend(training: Training) -> None:
    """After too many steps without an update, go back to the last checkpoint's weights; a second time in a row, end.

    The steps, and so the batches, go on from where they are: the same batches would fail again.
    """
    state, config = training.state, training.config
    if not state.failed or len(state.failed) % (config.max_skipped + 1):
        return
    again = len(state.failed) > config.max_skipped + 1
    tensors = tensors_of(training.initial()) if state.anchor == 0 else read_anchor(state, training.folder)
    if again or state.rollbacks == config.max_rollbacks or tensors is None:
        _give_up(training)
    restore(state, tensors)
    state.rollbacks += 1


def _give_up(training: Training) -> NoReturn:
    """Write down which samples the last batches held, and end."""
    state, uids = training.state, training.data.pairs.uids
    first = state.step - state.skipped_in_row + 1
    batches = enumerate(state.failed, start=first)
    listed = [{"step": step, "uids": [uids[row] for row in rows]} for step, rows in batches]
    if training.ranks.writes:
        files.write_json(training.list_at, listed)
    raise DivergedError(
        f"the loss was no number for {state.skipped_in_row} steps in a row, up to step {state.step}, after "
        f"{state.rollbacks} roll-back{'s' * (state.rollbacks != 1)}: lower train.learning_rate, or look at the samples "
        f"that {training.list_at} lists"
    )
