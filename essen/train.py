"""Training: staged shards in, a model's folder out; killed anywhere, it goes on and ends in the same bytes."""

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from essen.adapt.learning import copy_model, count_learning, still
from essen.batches import TrainingData, keep, open_training_data
from essen.computing import as_configured, compile_model, uses_bf16
from essen.config import ModelConfig, TrainConfig
from essen.distributed import Ranks, joined
from essen.errors import EssenError, StopRequested
from essen.export import save_model, weights_bytes
from essen.metrics import EventFiles, MetricsFile
from essen.model import build_model
from essen.objectives.contrastive import SigmoidBias
from essen.snapshots import CHECKPOINTS, copy_snapshots, keep_snapshots, word_marks
from essen.state import TrainState, load_checkpoint, save_checkpoint
from essen.step import Report, Training, advance, build_optimiser, examine
from essen.stopping import Examination, is_due
from essen.teacher import Teacher, build_distiller, build_query_keys, read_teacher
from pipeline import files

Counts = dict[str, Any]


def train(
    model_config: ModelConfig,
    train_config: TrainConfig,
    stages: Path,
    out: Path,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    report: Report = lambda _step, _values: None,
    events: Path | None = None,
    examined: Path | None = None,
) -> Counts:
    """Train a model on all stages and write it to ``out/models/<name>``.

    Checkpoints and the log lie in ``out/training``; what is found there is gone on with, also after the model's folder
    has been moved away. The processes that ``torchrun`` starts all do what rank 0 was asked; rank 0 alone writes.

    Args:
        model_config: the model.
        train_config: the training.
        stages: a folder with ``manifest.json``.
        out: the scratch directory that stands for the run directory.
        should_stop: asked before every step.
        report: called after every step with the number of finished steps and with losses, learning rate, samples a
            second and the share of the step in which pictures were `waited` for.
        events: folder of the event files, where the configuration asks for them; by default beside the checkpoints.
        examined: stages whose held-out set early stopping looks at, where it is not that of `stages`.

    Returns:
        Counts: steps, samples that may be trained on, pairs seen and how many of them are different (`unique`), skipped
        steps, parameters, precision, threads; and where there were any: `words` of the pairs seen, if models are kept
        by them, roll-backs, the best step of early stopping, `scored` pairs that were looked at for the sampler alone,
        processes.

    Raises:
        DataError, StagesError: the stages are missing, damaged, empty, or lack what sampler or early stopping need.
        EssenError: the checkpoints in `out` are of another training, or the reference model or teacher is missing or
            unfit.
        DivergedError: the loss was no number for more than ``max_skipped`` steps in a row, also after a roll-back.
        StopRequested: `should_stop` said so; a checkpoint has been written.
    """
    with joined() as ranks:
        model_config, train_config, stages, out = ranks.tell((model_config, train_config, stages, out))
        with as_configured(train_config):
            return _train(
                model_config,
                train_config,
                stages,
                out,
                ranks=ranks,
                should_stop=should_stop,
                report=report,
                events=events or out / "training" / "tensorboard",
                examined=examined,
            )


def follow() -> None:
    """Be one of the processes beside rank 0: take part in each of its trainings, until it says that there is no more.

    What ends a training, and is no fault of this process, rank 0 tells the person.
    """
    with joined() as ranks:
        while (asked := ranks.tell(None)) is not None:
            model_config, train_config, stages, out = asked
            with contextlib.suppress(EssenError), as_configured(train_config):
                _train(model_config, train_config, stages, out, ranks=ranks)


def _train(
    model_config: ModelConfig,
    config: TrainConfig,
    stages: Path,
    out: Path,
    *,
    ranks: Ranks,
    should_stop: Callable[[], bool] = lambda: False,
    report: Report = lambda _step, _values: None,
    events: Path | None = None,
    examined: Path | None = None,
) -> Counts:
    _check_together(model_config, config)
    bf16 = uses_bf16(config.precision)
    data = open_training_data(model_config, config, stages, bf16=bf16)
    teacher = read_teacher(config.teacher, data, model_config.text.max_length)
    with contextlib.closing(data.pictures), contextlib.ExitStack() as stack:

        def initial() -> TrainState:
            return _initial_state(model_config, config, data.tokenizer.vocab_size, teacher)

        state = initial()
        state.seen = torch.zeros(len(data.pairs), dtype=torch.bool)
        state.words = 0 if word_marks(config) else None
        compiled = config.compile and compile_model(state.model, warn=warnings.warn)
        standing = still(state.model)
        identity = _identity(model_config, config, data, teacher, standing, bf16=bf16, compiled=compiled, ranks=ranks)
        own = out / "training"
        if load_checkpoint(state, identity, own, warn=warnings.warn):
            data.sampler.load_state_dict(state.sampler)
        if config.cache.towers != "none":
            data = _with_kept_tokens(data, state, config, bf16=bf16, ranks=ranks, should_stop=should_stop)
        metrics, shown = None, None
        if ranks.writes:
            metrics = stack.enter_context(contextlib.closing(MetricsFile(own / "metrics.jsonl", state.metrics_bytes)))
            if config.tensorboard and events:
                shown = stack.enter_context(contextlib.closing(EventFiles(events, state.step)))
        stopping = config.stopping
        training = Training(
            state=state,
            initial=initial,
            data=data,
            config=config,
            bf16=bf16,
            compiled=compiled,
            distiller=build_distiller(config, state.model, teacher, state.query_keys),
            ranks=ranks,
            folder=own,
            metrics=metrics,
            events=shown,
            examination=Examination(examined or stages, stopping.split, state.model, data.tokenizer)
            if stopping.patience
            else None,
            report=report,
            list_at=out / "diverged.json",
        )
        _loop(training, identity, model_config, should_stop)
        if metrics is not None:
            _write_model(training, model_config, out)
        ranks.wait()
        return _counts(training, identity)


def _loop(
    training: Training, identity: dict[str, Any], model_config: ModelConfig, should_stop: Callable[[], bool]
) -> None:
    """Do all steps that are left, with checkpoints."""
    state, config = training.state, training.config
    while state.step < config.steps and not state.stopped:
        if training.ranks.any(should_stop()):
            _save(training, identity)
            raise StopRequested(f"stopped after step {state.step}; the same command goes on from there")
        before = state.words
        advance(training)
        if (reached := _reached(training, before)) and training.ranks.writes:
            folder = training.folder / CHECKPOINTS
            keep_snapshots(state.learnt, training.data.tokenizer, model_config, folder, reached)
        if is_due(config.stopping, state.step, config.steps):
            examine(training)
        regular = state.step % config.checkpoint_every == 0 and not state.skipped_in_row
        if regular:
            state.anchor = state.step
        if regular or state.step == config.steps or state.stopped:
            _save(training, identity)


def _reached(training: Training, before: int | None) -> tuple[int, ...]:
    """Return the numbers of words at which the model is kept that lie behind it, but not before `before`."""
    now = training.state.words
    if before is None or now is None:
        return ()
    return tuple(words for words in word_marks(training.config) if before < words <= now)


def _save(training: Training, identity: dict[str, Any]) -> None:
    """Write a checkpoint; no process goes on before it is there."""
    if training.metrics is not None:
        training.state.metrics_bytes = training.metrics.sync()
        training.state.sampler = training.data.sampler.state_dict()
        save_checkpoint(training.state, identity, training.folder)
    training.ranks.wait()


def _write_model(training: Training, config: ModelConfig, out: Path) -> None:
    folder = out / "models" / config.name
    best = training.state.best if training.config.stopping.keep == "best" else None
    save_model(best or training.state.learnt, training.data.tokenizer, config, folder)
    copy_snapshots(training.folder / CHECKPOINTS, folder, _reached(training, 0))
    files.write_bytes(folder / "metrics.jsonl", (training.folder / "metrics.jsonl").read_bytes())


def _counts(training: Training, identity: dict[str, Any]) -> Counts:
    state, config = training.state, training.config
    return {
        "steps": state.step,
        "samples": training.data.trained,
        "seen": state.step * config.batch_size,
        **({} if state.seen is None else {"unique": int(state.seen.sum())}),
        **({} if state.words is None else {"words": state.words}),
        "skipped": state.skipped,
        **({"rollbacks": state.rollbacks} if state.rollbacks else {}),
        **({"best_step": state.best_step} if state.best_step else {}),
        **({"scored": state.scored} if state.scored else {}),
        **count_learning(state.model),
        "precision": identity["precision"],
        "threads": identity["threads"],
        **({"processes": training.ranks.world} if training.ranks.world > 1 else {}),
    }


def _with_kept_tokens(
    data: TrainingData,
    state: TrainState,
    config: TrainConfig,
    *,
    bf16: bool,
    ranks: Ranks,
    should_stop: Callable[[], bool],
) -> TrainingData:
    """Return the data with the tokens of the towers that stand still; a request to stop is heard in between."""

    def pause() -> None:
        if ranks.world == 1 and should_stop():  # several processes stop together, before a step
            raise StopRequested(f"stopped after step {state.step}; the same command goes on from there")

    return keep(data, state.model, config.cache, bf16=bf16, between=pause)


def _check_together(model_config: ModelConfig, config: TrainConfig) -> None:
    try:
        model_config.check_cache(config.cache)
    except ValueError as error:
        raise EssenError(str(error)) from None


def _identity(
    model_config: ModelConfig,
    config: TrainConfig,
    data: TrainingData,
    teacher: Teacher | None,
    standing: dict[str, Tensor],
    *,
    bf16: bool,
    compiled: bool,
    ranks: Ranks,
) -> dict[str, Any]:
    """Return what must be equal for a resume to give equal bytes."""
    named_below_or_without_effect: dict[str, Any] = {
        **dict.fromkeys(("threads", "precision", "image_memory", "compile", "deterministic", "tensorboard"), True),
        "sampling": {"learnability": {"reference"}},
        "distillation": {"teacher"},
    }
    content = [
        model_config.model_dump(mode="json"),
        config.model_dump(mode="json", exclude=named_below_or_without_effect),
    ]
    return {
        "configuration": files.digest(content)[:16],
        "stages": data.digest[:16],
        **({"reference": data.reference_sha256[:16]} if data.reference_sha256 else {}),
        **({"teacher": teacher.weights_sha256[:16]} if teacher else {}),
        **({"still": files.sha256_bytes(weights_bytes(standing, {}))[:16]} if standing else {}),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "precision": "bf16" if bf16 else "fp32",
        **({"compiled": True} if compiled else {}),
        **({"processes": ranks.world} if ranks.world > 1 else {}),
    }


def _initial_state(
    model_config: ModelConfig, config: TrainConfig, vocab_size: int, teacher: Teacher | None
) -> TrainState:
    model = build_model(model_config, vocab_size, config.seed).to(memory_format=torch.channels_last)
    bias = SigmoidBias() if config.objectives.contrast == "sigmoid" else None
    query_keys = build_query_keys(config, model, teacher)
    beside = [module for module in (bias, query_keys) if module is not None]
    return TrainState(
        average=copy_model(model).eval() if config.ema_decay else None,
        best=copy_model(model).eval() if config.stopping.patience else None,
        model=model.train(),
        bias=bias,
        query_keys=query_keys,
        optimiser=build_optimiser(model, config, *beside),
    )
