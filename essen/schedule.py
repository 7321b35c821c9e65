"""The learning rate, a pure function of the step: there is no scheduler whose state could be lost."""

import math

from essen.config import TrainConfig


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of a step, counted from 0.

    A linear warm-up comes first. Then ``cosine`` falls to `final_rate` along a cosine; ``wsd`` stays at the highest
    rate, and over the last `decay_share` of the steps falls as one less the square root (Hägele et al. 2024).
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "cosine":
        progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
        height = (1 + math.cos(math.pi * min(1.0, progress))) / 2
    else:
        start = max(float(config.warmup_steps), config.steps * (1 - config.decay_share))
        progress = (step - start) / max(1.0, config.steps - start)
        height = 1 - math.sqrt(min(1.0, max(0.0, progress)))
    return config.learning_rate * (config.final_rate + (1 - config.final_rate) * height)
