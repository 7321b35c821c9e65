"""Pacing: how much of a curriculum is open at a step, as a pure function of the step.

With x = t/T, from `low` at t = 0 to `high` at t ≥ T:

linear      low + (high − low)·x
root        low + (high − low)·x^(1/p)                   (DeepSpeed's fixed_root)
geometric   low·(high/low)^x
competence  (low^p + (high^p − low^p)·x)^(1/p)           (Platanios et al. 2019, with c0 = low/high)
step        low + (high − low)·s, s by a schedule        (DeepSpeed's fixed_discrete)
"""

import math

from essen.config import PacingConfig

# A product that should be a whole number of units can fall short of it by a rounding error.
ROUNDING = 1e-9


def pace(config: PacingConfig, step: int, total: float, low: float, high: float, unit: float = 0.0) -> float:
    """Return how far a curriculum is open at a step.

    It never falls, is never below `low`, is `low` (or more, for a schedule that starts higher) at step 0 and exactly
    `high` from `total` on; ``total = 0`` and ``low = high`` are legal.

    Args:
        config: the shape.
        step: counted from 0.
        total: steps until all is open, T.
        low, high: of what is paced; 0 < low <= high.
        unit: the way up is rounded down to whole units; 0: not at all.
    """
    if step >= total or low >= high:
        return high
    value = _value(config, step / total, low, high)
    if unit:
        value = low + unit * math.floor((value - low) / unit + ROUNDING)
    return min(high, max(low, value))


def _value(config: PacingConfig, x: float, low: float, high: float) -> float:
    power = config.root
    if config.kind == "competence":
        return float((low**power + (high**power - low**power) * x) ** (1 / power))
    if config.kind == "geometric":
        return float(low * (high / low) ** x)
    if config.kind == "step":
        passed = [share for moment, share in config.schedule if moment <= x + ROUNDING]
        return low + (high - low) * (passed[-1] if passed else 0.0)
    return float(low + (high - low) * (x if config.kind == "linear" else x ** (1 / power)))
