"""How a file becomes final: written beside its place, flushed to the disk, renamed; and how its content is named.

Nothing here knows what the files hold. A name that does not end in ``.part`` is therefore always a whole file.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_bytes(data: bytes) -> str:
    """Return the sha256 of the bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the sha256 of the file's content, in hex, reading it in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN."""
    return _canonical.encode(value)


def digest(value: Any) -> str:
    """Return the sha256 of a JSON value's canonical text, in hex."""
    return sha256_bytes(canonical_json(value).encode())


def read_json(path: Path) -> Any:
    """Return the parsed content of a UTF-8 JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically, creating its directory where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_directory(path.parent)


def pretty_json(value: Any) -> str:
    """Return the text under which `write_json` stores a value."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value atomically, in a form that is pleasant to read and stable to compare."""
    write_bytes(path, pretty_json(value).encode())


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Flush a directory's entries to the disk, so that a rename in it survives a power cut."""
    sync_file(path)


def files_below(path: Path) -> list[Path]:
    """Return the regular files at or below a path, sorted by name; refuses symbolic links.

    Raises:
        ConfigError: a symbolic link lies there, so the content is not under our control.
    """
    if path.is_symlink():
        raise ConfigError(f"{path} is a symbolic link; a run directory holds its own files: replace it by a copy")
    if path.is_file():
        return [path]
    return [file for entry in sorted(path.iterdir()) for file in files_below(entry)]


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk cannot; creates the directory where needed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def remove(path: Path) -> None:
    """Remove a file or a directory tree, or do nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
