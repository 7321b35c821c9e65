"""Studies: arms × budgets × seeds, paired by seed, with claims that are declared first and judged by rule."""

from flows.study.config import Study, load_study

__all__ = ["Study", "load_study"]
