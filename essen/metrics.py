"""The log of a training.

``metrics.jsonl`` has one line a logged step, nothing that depends on the clock, and is never ahead of its checkpoint.
TensorBoard's event files are for watching: they tell the speed too, and are no result.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from essen.errors import EssenError


class MetricsFile:
    """Appends lines after the first `length` bytes of a file; what lies beyond is of a killed attempt and goes.

    Raises:
        EssenError: the file is shorter than that.
    """

    def __init__(self, path: Path, length: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        if self._file.tell() < length:
            self._file.close()
            raise EssenError(f"{path} is shorter than its checkpoint says; remove the checkpoints to start again")
        self._file.truncate(length)

    def write(self, values: dict[str, Any]) -> None:
        """Append a line of JSON."""
        self._file.write((json.dumps(values) + "\n").encode())

    def sync(self) -> int:
        """Flush the lines to the disk and return the length of the file, in bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class EventFiles:
    """Event files of TensorBoard in a folder.

    Args:
        folder: where they lie.
        step: the finished steps; events of later ones are of a killed attempt and are not shown.

    Raises:
        EssenError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise EssenError(
                "train.tensorboard: TensorBoard is not installed; pip install 'essen[tensorboard]', or set it to false"
            ) from None
        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Add the numbers among some values of a step."""
        for name, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
