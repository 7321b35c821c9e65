"""Names of shards as people write them: a file, a glob, a brace pattern or an address; never a command.

A name is data. WebDataset's own readers take ``pipe:curl …`` for a shell command, ``a.tar::b.tar`` for two names and
``-`` for the standard input; here each of them is refused before anything is opened.
"""

import re
from collections.abc import Iterable
from itertools import islice
from math import prod
from os.path import commonpath
from pathlib import Path

from pipeline.addresses import is_remote, is_web
from pipeline.errors import ConfigError

MOST_SHARDS = 10_000
SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)?:")
RANGE = re.compile(r"\{(-?\d+)\.\.(-?\d+)(?:\.\.-?\d+)?\}")


def check_spec(spec: str) -> str:
    """Return a shard specification as it is.

    Raises:
        ValueError: it is none, or it stands for more than `MOST_SHARDS` names.
    """
    if not spec.strip() or spec.strip() == "-":
        raise ValueError("a shard is a file, a pattern of files or an address")
    if any(ord(c) < 32 for c in spec):
        raise ValueError("a control character in the name of a shard")
    if "::" in spec:
        raise ValueError("several shards are entries of the list, not joined by ::")
    if is_remote(spec):
        if not is_web(spec) and any(sign in spec for sign in "*?["):
            raise ValueError("an address is no pattern of files; write numbers as {00000..00012}")
    elif ":" in spec:
        found = SCHEME.match(spec)
        what = f"{found[1]}: is not read" if found and found[1] else "a name with a colon is not read"
        raise ValueError(f"{what}; a shard is a file, a pattern of files or an address (http, s3, …)")
    _check_number(spec)
    return spec


def expand(spec: str) -> list[str]:
    """Return the names that the braces of a specification stand for, in their order.

    Raises:
        ValueError: there are more than `MOST_SHARDS`, or the braces are not balanced.
    """
    from braceexpand import braceexpand

    _check_number(spec)
    names = list(islice(braceexpand(spec), MOST_SHARDS + 1))
    if len(names) > MOST_SHARDS:
        raise ValueError(f"it stands for more than {MOST_SHARDS:,} shards")
    return names


def local_shards(specs: Iterable[str], folder: Path) -> list[Path]:
    """Return the files of the local specifications, in their order, those of a glob sorted, each once.

    Args:
        folder: against which relative names are taken.

    Raises:
        ConfigError: a name or pattern stands for no file.
    """
    found: dict[Path, None] = {}
    for spec in specs:
        for name in expand(spec):
            path = Path(name).expanduser()
            matches = sorted(_glob(path, folder)) if any(c in name for c in "*?[") else [folder / path]
            if not matches or not all(file.is_file() for file in matches):
                raise ConfigError(f"there is no shard {folder / path}; shards are relative to the data card's folder")
            found.update(dict.fromkeys(matches))
    return list(found)


def shard_labels(shards: Iterable[Path]) -> list[str]:
    """Return the paths of local shards below the folder that they share: names that hold anywhere."""
    paths = [Path(shard.absolute()) for shard in shards]
    base = commonpath([path.parent for path in paths]) if paths else ""
    return [path.relative_to(base).as_posix() for path in paths]


def _glob(pattern: Path, folder: Path) -> Iterable[Path]:
    """Match a pattern below a folder whose own name may hold signs of a pattern."""
    if pattern.is_absolute():
        return Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
    return folder.glob(str(pattern))


def _check_number(spec: str) -> None:
    """Refuse a range of numbers that is too long before anything expands it."""
    lengths = [abs(int(last) - int(first)) + 1 for first, last in RANGE.findall(spec) if len(first + last) < 40]
    if prod(lengths) > MOST_SHARDS or re.search(r"\d{20}\.\.|\.\.-?\d{20}", spec):
        raise ValueError(f"it stands for more than {MOST_SHARDS:,} shards")
    if spec.count("{") > 32:
        raise ValueError("more braces than a list of shards has")
