"""Early stopping: retrieval on a held-out set, again and again, and whether it still becomes better."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from essen.config import StoppingConfig
from essen.errors import StagesError
from essen.evaluate.held_out import HeldOut, read_held_out
from essen.evaluate.retrieval import retrieval_ranks
from essen.model import Essen
from essen.tokenizer import CaptionTokenizer
from pipeline.shards.read import open_stages

AT_ONCE = 256
KS = (1, 5, 10)


class Examination:
    """A held-out set on which a model that is being trained is examined.

    Args:
        stages: a folder with ``manifest.json``.
        split: the set's name.
        model: tells the size of pictures and captions.
        tokenizer: of the captions.

    Raises:
        StagesError: there is no such set, or it is empty.
    """

    def __init__(self, stages: Path, split: str, model: Essen, tokenizer: CaptionTokenizer) -> None:
        sets = open_stages(stages).evaluation
        if split not in sets:
            known = ", ".join(sorted(sets)) or "none"
            raise StagesError(f"train.stopping.split: the stages have no set {split}, but: {known}")
        self._held_out: HeldOut = read_held_out(sets[split], model.config.image_size)
        self._ids, self._mask = tokenizer.encode(self._held_out.captions, model.config.text.max_length)

    @torch.inference_mode()
    def score(self, model: Essen, *, bf16: bool) -> float:
        """Return the mean of R@1, R@5 and R@10 in both directions, 0..1; the model is left as it was."""
        training = model.training
        model.eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            images = torch.cat([model.encode_images(part).embedding for part in self._held_out.pixels.split(AT_ONCE)])
            parts = zip(self._ids.split(AT_ONCE), self._mask.split(AT_ONCE), strict=True)
            texts = torch.cat([model.encode_texts(*part).embedding for part in parts])
        model.train(training)
        return self._recall(texts @ images.T)

    def _recall(self, similarity: Tensor) -> float:
        table, relevant = similarity.numpy(), self._held_out.galleries.relevant
        if np.isnan(table).any():
            return 0.0
        ranks = [retrieval_ranks(table, relevant), retrieval_ranks(table.T, relevant.T)]
        return float(np.mean([(found <= k).mean() for found in ranks for k in KS]))


def is_due(config: StoppingConfig, step: int, steps: int) -> bool:
    """Tell whether the model is examined after a number of finished steps of a training of `steps`."""
    return config.patience > 0 and (step % config.every == 0 or step == steps)
