"""open_clip's side of the comparisons: models of a given cost, trained on staged shards by open_clip's own code.

A model is a folder with ``open_clip_config.json``, as open_clip and ``essen evaluate open_clip:FOLDER`` read it.
Loader, loss, step and schedule are those of `open_clip_train`; its command adds arguments and files to them.
"""

import contextlib
import functools
import json
import logging
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import open_clip
import open_clip_train.data
import torch
from open_clip.factory import create_loss
from open_clip_train.params import parse_args
from open_clip_train.scheduler import cosine_lr
from open_clip_train.train import train_one_epoch
from safetensors.torch import save_file
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from essen.batches import make_batch, open_training_data
from essen.config import ModelConfig, SamplingConfig, TrainConfig
from essen.model import build_model
from essen.objectives.combine import Learner, compute_losses
from essen.rows import Passes
from pipeline.shards.read import open_stages

# webdataset marks the end of a shard since 0.2.90, with a value that open_clip's grouping does not expect.
open_clip_train.data.tar_file_expander = functools.partial(open_clip_train.data.tar_file_expander, eof_value=None)

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
SIZE = 96
CONTEXT = 32  # word pieces of a caption, as many as our text towers see at most
LAYERS = 4  # of the text tower
TOLERANCE = 0.05  # by which two models' FLOPs may differ and count as equal
VISION: dict[str, dict[str, Any]] = {
    "ResNet-10t": {"timm_model_name": "resnet10t", "timm_pool": "avg", "timm_proj": "linear"},
    "ViT 8×192": {"layers": 8, "width": 192, "head_width": 64, "patch_size": 16},
}


@dataclass(frozen=True)
class Peer:
    """A model of open_clip's: its folder, the width of its text tower, and the FLOPs of a pair's forward pass."""

    name: str
    folder: Path
    text_width: int
    flops: float

    @property
    def spec(self) -> str:
        """What open_clip calls it."""
        return f"local-dir:{self.folder}"


@dataclass
class Clock:
    """What `open_clip_train` reports of every step: its seconds, and those in which it waited for its loader.

    Beside them the processor's seconds of this process; those of the loader's processes are not among them.
    """

    steps: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    _last: float = field(default_factory=time.process_time)

    def add_scalar(self, name: str, value: float, _: int) -> None:
        """Take a value, as a writer of TensorBoard's would."""
        known = {"train/batch_time": self.steps, "train/data_time": self.waits, "train/contrastive_loss": self.losses}
        if name in known:
            known[name].append(value)
        if name == "train/batch_time":
            now = time.process_time()
            self.processor.append(now - self._last)
            self._last = now


def our_flops(config: ModelConfig, train_config: TrainConfig, stages: Path) -> float:
    """Return the FLOPs of the forward pass of a pair as it is trained, all objectives with their share of the steps.

    They are counted over as many steps as it takes until the fusion has been used once, on real captions.
    """
    pairs = min(64, train_config.batch_size)
    training = train_config.model_copy(update={"batch_size": pairs, "sampling": SamplingConfig(kind="random")})
    objectives = training.objectives
    # As many pairs of this smaller batch go through the fusion as of a large one.
    share = min(1.0, objectives.fusion_batch / train_config.batch_size)
    objectives = objectives.model_copy(update={"fusion_batch": max(1, round(share * pairs))})
    data = open_training_data(config, training, stages)
    learner = Learner(build_model(config, data.tokenizer.vocab_size, seed=0), data.tokenizer)
    steps = range(objectives.fusion_every)
    batches = [make_batch(data, training, data.sampler.batch(step), step) for step in steps]
    data.pictures.close()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for step, batch in zip(steps, batches, strict=True):
            compute_losses(learner, batch, objectives, Passes(seed=0, step=step, bf16=False))
    return counter.get_total_flops() / (pairs * len(steps))


def make_peer(name: str, flops: float, embed_dim: int, folder: Path) -> Peer:
    """Write a model's configuration, its text tower as wide as it takes to cost as much as asked for.

    Args:
        name: of `VISION`.
        flops: of a pair's forward pass.
        embed_dim: width of the joint space.
        folder: to write to.

    Raises:
        SystemExit: no width comes near.
    """
    widths = range(32, 1025, 16)
    vision = _flops_of(_written(folder, name, embed_dim, widths[0])) - _text_flops(widths[0], embed_dim)
    width = min(widths, key=lambda each: abs(vision + _text_flops(each, embed_dim) - flops))
    counted = _flops_of(_written(folder, name, embed_dim, width))
    if abs(counted / flops - 1) > TOLERANCE:
        raise SystemExit(
            f"{name} with a text tower of {LAYERS}×{width} takes {counted / 1e9:.3f} GFLOPs a pair, ours "
            f"{flops / 1e9:.3f}: no width brings them within {TOLERANCE:.0%}; compare a larger model (--model)"
        )
    return Peer(name, folder, width, counted)


def _written(folder: Path, name: str, embed_dim: int, width: int) -> Path:
    text = {"context_length": CONTEXT, "vocab_size": 49_408, "width": width, "heads": 4, "layers": LAYERS}
    model = {"embed_dim": embed_dim, "vision_cfg": {"image_size": SIZE, **VISION[name]}, "text_cfg": text}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))
    return folder


def _text_flops(width: int, embed_dim: int) -> int:
    return LAYERS * (24 * CONTEXT * width**2 + 4 * CONTEXT**2 * width) + 2 * width * embed_dim


def _flops_of(folder: Path) -> float:
    """Return the FLOPs of a pair's forward pass, counted by torch."""
    model, _ = new_model(f"local-dir:{folder}", seed=0)
    pixels, ids = torch.zeros(2, 3, SIZE, SIZE), torch.zeros(2, CONTEXT, dtype=torch.long)
    # The fused attention of a processor is none that torch counts.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(pixels, ids)
    return counter.get_total_flops() / 2


def new_model(spec: str, seed: int) -> tuple[nn.Module, tuple[Any, Any]]:
    """Return an open_clip model with random weights, and how it has its pictures in training and afterwards."""
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, *transforms = open_clip.create_model_and_transforms(spec, output_dict=True)
    return model, tuple(transforms)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep open_clip's log off the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def train_peer(
    peer: Peer,
    stages: Path,
    *,
    steps: int,
    batch: int,
    bf16: bool,
    learning_rate: float,
    warmup: int = 0,
    epochs: int = 1,
    workers: int = 1,
    seed: int = 0,
) -> tuple[nn.Module, Clock]:
    """Train a model as ``python -m open_clip_train.main`` does, without its files; return it and what steps took.

    Args:
        peer: the model; it starts from random weights.
        stages: whose shards it reads, all stages as one set.
        steps: in all, a multiple of `epochs`.
        batch: pairs in a step.
        bf16: compute with ``amp_bf16``, else with ``fp32``.
        learning_rate, warmup: of open_clip's cosine.
        epochs: parts of the training; each begins with another order of the shards.
        workers: processes that load.
        seed: of weights and order of the shards. open_clip draws crops and shuffles samples by other sources too.
    """
    opened = open_stages(stages)
    shards = [str(part.folder / shard["file"]) for part in opened.stages for shard in part.entry["shards"]]
    asked = {
        "model": peer.spec,
        "train-data": "::".join(shards),
        "train-num-samples": steps // epochs * batch,
        "dataset-type": "webdataset",
        "batch-size": batch,
        "precision": "amp_bf16" if bf16 else "fp32",
        "workers": min(workers, len(shards)),
        "epochs": epochs,
        "lr": learning_rate,
        "warmup": warmup,
        "seed": seed,
        "device": "cpu",
        "log-every-n-steps": 1,
    }
    args = parse_args([f"--{key}={value}" for key, value in asked.items()])
    args.distill, args.wandb, args.rank, args.world_size = False, False, 0, 1  # as its main sets them
    model, transforms = new_model(peer.spec, seed)
    optimiser, loss, clock = _optimiser(model, args), create_loss(args), Clock()
    with quiet():
        tokenizer = open_clip.get_tokenizer(peer.spec)
        data = open_clip_train.data.get_data(args, transforms, tokenizer=tokenizer)
        schedule = cosine_lr(optimiser, args.lr, args.warmup, steps)
        for epoch in range(epochs):
            train_one_epoch(model, data, loss, epoch, optimiser, None, schedule, None, args, tb_writer=clock)
    assert len(clock.steps) == steps, "one report a step"
    return model, clock


def _optimiser(model: nn.Module, args: Any) -> torch.optim.AdamW:
    """Return what open_clip's main builds: no weight decay on vectors and scalars."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
        {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": args.wd},
    ]
    return torch.optim.AdamW(groups, lr=args.lr, betas=(args.beta1, args.beta2), eps=args.eps)


def save_peer(model: nn.Module, peer: Peer, folder: Path) -> None:
    """Write a trained model to a folder of its own: what lies beside a configuration is loaded with it."""
    folder.mkdir(parents=True)
    shutil.copy(peer.folder / CONFIG, folder)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / WEIGHTS)
