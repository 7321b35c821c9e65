"""``metrics.jsonl``: one line a logged step, nothing that depends on the clock, and never ahead of its checkpoint."""

import json
import os
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
