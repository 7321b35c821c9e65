"""A run directory: steps that are done once, published whole, and found again.

A *step* is a plain function that writes files below a scratch directory and returns counts. Its key is the digest of
what it read (the digests of the steps before it), its parameters and its version. The order of events is fixed:

1. the function writes into ``.part/<step>-<key>``;
2. every file there is flushed to the disk and hashed;
3. the outputs are renamed into the run directory;
4. the record ``steps/<step>.json``, with key, counts and hashes, is renamed into place.

The record is last, so a step without a matching record has not happened: killed anywhere, the next run does it again
and ends in the same bytes. Steps that can go on from the middle (downloads, training) keep their scratch directory.
"""

import contextlib
import errno
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import ConfigError, DataError, LockedError

Counts = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One unit of work of a run.

    Attributes:
        name: unique in the run; names the record.
        function: writes the outputs below the directory it is given and returns JSON-able counts. Where the counts
            hold ``in``, ``kept`` and ``dropped``, they must add up.
        outputs: paths relative to the run directory, files or directories, owned by this step alone.
        inputs: names of the steps whose outputs are read.
        params: JSON-able values that decide the outcome: the configuration, versions and hashes of tools.
        version: raised by hand when the code would give other bytes for the same inputs and parameters.
        resumable: keep the scratch directory of an interrupted attempt and hand it to the next one.
    """

    name: str
    function: Callable[[Path], Counts]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    resumable: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a step: its record, and whether it ran or was found finished."""

    record: dict[str, Any]
    ran: bool


class Workspace:
    """The directory of one run. See the module's text for what it guarantees."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def record_path(self, step: str) -> Path:
        """Return where the record of a step lies."""
        return self.root / "steps" / f"{step}.json"

    def record(self, step: str) -> dict[str, Any] | None:
        """Return the record of a finished step, or None.

        Raises:
            DataError: the record is damaged.
        """
        path = self.record_path(step)
        return _read_record(path) if path.is_file() else None

    def records(self) -> list[dict[str, Any]]:
        """Return the records of all finished steps, in the order in which they were finished."""
        found = [_read_record(path) for path in sorted((self.root / "steps").glob("*.json"))]
        return sorted(found, key=lambda record: (record["finished"], record["step"]))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run directory for this process.

        Raises:
            LockedError: another living process holds it. The lock of a dead process is taken over by itself.
            ConfigError: the directory cannot be made or written to.
        """
        import filelock

        lock = filelock.FileLock(self.root / ".lock")
        with disk_faults_named(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0.5)
            except filelock.Timeout:
                raise LockedError(
                    f"{self.root} is in use by another run; wait for it to end or choose another directory with --run"
                ) from None
        try:
            yield
        finally:
            lock.release()

    def key(self, step: Step) -> str:
        """Return the digest of all that decides the step's outcome.

        Raises:
            ConfigError: a step that it reads has not been done.
        """
        inputs = {}
        for name in step.inputs:
            record = self.record(name)
            if record is None:
                raise ConfigError(f"step {step.name} reads step {name}, which has not been done in {self.root}")
            inputs[name] = files.digest(record["outputs"])
        return files.digest({"step": step.name, "version": step.version, "inputs": inputs, "params": step.params})

    def is_done(self, step: Step) -> bool:
        """Tell whether the step's record matches its key and all its files are there with their recorded sizes."""
        record = self.record(step.name)
        if record is None or record["key"] != self.key(step):
            return False
        return all(
            (self.root / name).is_file() and (self.root / name).stat().st_size == entry["bytes"]
            for name, entry in record["outputs"].items()
        )

    def run(self, step: Step) -> Outcome:
        """Do a step, or find it done.

        Raises:
            ConfigError: a step that it reads has not been done, or the disk is full.
            DataError: its counts do not add up, or it did not write what it promised.
        """
        with disk_faults_named(self.root):
            if not self.is_done(step):
                return Outcome(record=self._do(step), ran=True)
            self._remove_scratch(step)
            record = self.record(step.name)
            assert record is not None
            return Outcome(record=record, ran=False)

    def adopt(self, step: Step, other: "Workspace") -> bool:
        """Take over a step that another run has done with the same key, and tell whether the step is done now.

        The files are linked where the disk allows it: no run changes a published file, it only replaces whole ones.

        Raises:
            DataError: the other run's files are not what its record says.
        """
        if self.is_done(step):
            return True
        record = other.record(step.name)
        if record is None or record["key"] != self.key(step):
            return False
        if not all((other.root / name).is_file() for name in record["outputs"]):
            return False
        with disk_faults_named(self.root):
            self._remove_scratch(step)
            scratch = self._scratch(step, record["key"])
            for name in record["outputs"]:
                files.link(other.root / name, scratch / name)
            if self._hash_outputs(step, scratch) != record["outputs"]:
                raise DataError(f"{other.root}: step {step.name} is damaged; verify that run, or remove it")
            self._put(step, scratch, record)
        return True

    def _do(self, step: Step) -> dict[str, Any]:
        key = self.key(step)
        scratch = self._scratch(step, key)
        started = time.monotonic()
        counts = step.function(scratch)
        check_funnel(step.name, counts)
        outputs = self._hash_outputs(step, scratch)
        record = {
            "step": step.name,
            "key": key,
            "version": step.version,
            "inputs": list(step.inputs),
            "params": dict(step.params),
            "counts": counts,
            "outputs": outputs,
            "seconds": round(time.monotonic() - started, 3),
            "finished": time.time(),
        }
        self._put(step, scratch, record)
        return record

    def _put(self, step: Step, scratch: Path, record: dict[str, Any]) -> None:
        """Publish a step's finished outputs, then its record."""
        self._forget(step)
        for output in step.outputs:
            self._publish(scratch / output, self.root / output)
        files.write_json(self.record_path(step.name), record)
        self._remove_scratch(step)

    def _scratch(self, step: Step, key: str) -> Path:
        """Return the step's scratch directory: an earlier attempt's where it can go on, otherwise an empty one."""
        scratch = self.root / ".part" / f"{step.name}-{key[:16]}"
        self._remove_scratch(step, keep=scratch if step.resumable else None)
        scratch.mkdir(parents=True, exist_ok=True)
        return scratch

    def _remove_scratch(self, step: Step, keep: Path | None = None) -> None:
        """Remove what earlier attempts at a step have left, also one that was killed when all but this was done."""
        for scratch in (self.root / ".part").glob(f"{step.name}-" + "?" * 16):
            if scratch != keep:
                files.remove(scratch)

    def _forget(self, step: Step) -> None:
        """Remove the step's old record, for good, before the first of its outputs is replaced."""
        path = self.record_path(step.name)
        if path.exists():
            files.remove(path)
            files.sync_directory(path.parent)

    def _hash_outputs(self, step: Step, scratch: Path) -> dict[str, dict[str, Any]]:
        outputs: dict[str, dict[str, Any]] = {}
        for output in step.outputs:
            if not (scratch / output).exists():
                raise DataError(f"step {step.name} did not write {output}")
            written = files.files_below(scratch / output)
            for file in written:
                if file.name.endswith(".part"):
                    raise DataError(f"step {step.name} left the unfinished file {file.name}")
                files.sync_file(file)
                name = file.relative_to(scratch).as_posix()
                outputs[name] = {"sha256": files.sha256_file(file), "bytes": file.stat().st_size}
            for folder in sorted({file.parent for file in written}):
                files.sync_directory(folder)
        return outputs

    def _publish(self, source: Path, target: Path) -> None:
        """Move a finished output into its place; whatever was there before is removed first."""
        target.parent.mkdir(parents=True, exist_ok=True)
        files.remove(target)
        source.replace(target)
        for folder in (target.parent, *target.parent.parents):
            files.sync_directory(folder)
            if folder == self.root:
                break


def _read_record(path: Path) -> dict[str, Any]:
    """Return a step's record.

    Raises:
        DataError: it is damaged.
    """
    try:
        record = files.read_json(path)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not {"step", "key", "inputs", "outputs", "counts", "finished"} <= record.keys():
        raise DataError(f"{path} is damaged; remove it and run the same command again, which does that step anew")
    return record


def check_funnel(step: str, counts: Counts) -> None:
    """Raise unless ``in = kept + Σ dropped``; counts without these three entries pass.

    Raises:
        DataError: samples appeared or vanished without a reason.
    """
    if not {"in", "kept", "dropped"} <= counts.keys():
        return
    dropped = sum(counts["dropped"].values())
    if counts["in"] != counts["kept"] + dropped:
        raise DataError(
            f"step {step}: {counts['in']} samples came in, {counts['kept']} were kept and {dropped} dropped with a "
            "reason; these do not add up"
        )


@contextlib.contextmanager
def disk_faults_named(root: Path) -> Iterator[None]:
    """Turn a full, read-only or failing disk below a run directory into one line.

    Raises:
        ConfigError: with the path and the way out.
    """
    reasons = {
        errno.ENOSPC: "no space is left on the disk; free some and run the same command again, it goes on from there",
        errno.EDQUOT: "the disk quota is used up; free some and run the same command again, it goes on from there",
        errno.EROFS: "the file system is read-only; choose another directory with --run",
        errno.EACCES: "permission denied; choose another directory with --run",
        errno.EPERM: "permission denied; choose another directory with --run",
        errno.ENOTDIR: "not a directory; choose another one with --run",
        errno.EEXIST: "a file of that name is in the way; choose another directory with --run",
        errno.ENAMETOOLONG: "the name is too long; choose another directory with --run",
        errno.EFBIG: "larger than files may be here; raise the limit (ulimit -f) and run the same command again",
        errno.EIO: "the disk reports an input/output error; check it, then run the same command again",
    }
    try:
        yield
    except OSError as error:
        if error.errno in reasons:
            raise ConfigError(f"{error.filename or root}: {reasons[error.errno]}") from error
        raise
