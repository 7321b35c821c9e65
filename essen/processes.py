"""Which of the processes that ``torchrun`` started this one is. Light to import: a command asks before all else."""

import os


def announced() -> tuple[int, int]:
    """Return this process's rank and the number of processes, (0, 1) for one that ``torchrun`` did not start."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
