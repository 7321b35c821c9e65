"""Sampling: which samples make the next batch, as a pure function of (seed, state, step)."""
