"""Small real things for the tests of acquisition: pages of a web server, pictures, icon packages."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.acquire.raw import raw_tables
from pipeline.tables import read_columns

CONTROL = b"Package: tiny\nVersion: 1:1.0-1\nArchitecture: all\nMaintainer: Me <me@example.org>\nDescription: tiny\n"


@dataclass
class Page:
    """One answer: after `delay` seconds, `body` with `status` and `headers`; without end if `drips`."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drips: bool = False


@dataclass
class Site:
    """A web server on the loopback interface: its address, its pages by path, how often each path was asked for."""

    address: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    agents: set[str] = field(default_factory=set)


def noise(seed: int, *, mode: str = "RGB", size: tuple[int, int] = (24, 16)) -> Image.Image:
    """A picture of random pixels, so that no two are alike and none compresses to nothing."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    return Image.frombytes(mode, size, values.tobytes())


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format=kind, **options)
    return out.getvalue()


def icon_package(
    icons: dict[str, object],
    *,
    licence: str = "MIT",
    categories: dict[str, list[str]] | None = None,
    aliases: dict[str, object] | None = None,
) -> bytes:
    """The archive of a small icon package, as npm serves it."""
    return npm_package(
        {
            "package.json": {"name": "icons", "version": "1.0.0"},
            "icons.json": {"prefix": "test", "icons": icons, "aliases": aliases or {}, "width": 16, "height": 16},
            "info.json": {"prefix": "test", "license": {"spdx": licence}},
            "metadata.json": {"categories": categories or {}},
        }
    )


def npm_package(content: dict[str, object]) -> bytes:
    """The archive of JSON files by their names, as npm serves it."""
    members = [(f"package/{name}", json.dumps(value).encode()) for name, value in content.items()]
    return gzip.compress(tar_of(*members), mtime=0)


def debian_package(files: dict[str, bytes], *, links: dict[str, str] | None = None, compression: str = "xz") -> bytes:
    """The archive of a small Debian package; `links` are symbolic, by path."""
    content = {"control.tar.gz": b"", f"data.tar.{compression}": b""}
    entries = [(name, None) for name in links or {}] + list(files.items())
    for member in content:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=f"w:{member.rpartition('.')[2]}") as tar:
            for name, data in sorted(entries) if member.startswith("data") else [("control", CONTROL)]:
                info = tarfile.TarInfo(f"./{name}")
                if data is None:
                    info.type, info.linkname = tarfile.SYMTYPE, (links or {})[name]
                else:
                    info.size = len(data)
                tar.addfile(info, io.BytesIO(data or b""))
        content[member] = out.getvalue()
    archive = b"!<arch>\n"
    for member, data in {"debian-binary": b"2.0\n", **content}.items():
        archive += (
            f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        )
    return archive


def integrity(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Every row of a raw corpus, in order."""
    tables = [read_columns(table) for table in raw_tables(folder)]
    return [dict(zip(table, values, strict=True)) for table in tables for values in zip(*table.values(), strict=True)]


def hashes_below(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder, by its path."""
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


def tar_of(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """An archive of (name, content) pairs and of entries without content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            entry = tarfile.TarInfo(member[0])
            entry.size = len(member[1])
            archive.addfile(entry, io.BytesIO(member[1]))
    return out.getvalue()
