"""Small real things for the tests of acquisition: pages of a web server, pictures, icon packages."""

import base64
import hashlib
import io
import json
import tarfile
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from PIL import Image


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
    icons: dict[str, object], *, licence: str = "MIT", categories: dict[str, list[str]] | None = None
) -> bytes:
    """The archive of a small icon package, as npm serves it."""
    content = {
        "package.json": {"name": "icons", "version": "1.0.0"},
        "icons.json": {"prefix": "test", "icons": icons, "width": 16, "height": 16},
        "info.json": {"prefix": "test", "license": {"spdx": licence}},
        "metadata.json": {"categories": categories or {}},
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, value in content.items():
            data = json.dumps(value).encode()
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def integrity(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
