"""Files that promise more than they hold, and what they cost: run as a program, it prints a line of JSON a file."""

import io
import json
import re
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

MAX_PIXELS = 40_000_000


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, pixels: bytes, *, depth: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    """A PNG with a header that says what it likes, over deflated rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def zeros(number: int) -> bytes:
    """A deflate stream of so many zero bytes, made of one block again and again."""
    full, rest = divmod(number, 1 << 20)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    checksum = (number % 65_521) << 16 | 1
    return b"\x78\xda" + block * full + deflate.compress(bytes(rest)) + deflate.flush() + struct.pack(">I", checksum)


def lying(kind: str, width: int, height: int, *, frame: bool = False) -> bytes:
    """A picture of 64 × 64 with another size in its header, or in the header of its frame."""
    picture = Image.new("P" if kind == "GIF" else "RGB", (64, 64), 1)
    data = bytearray(encoded(picture, kind))
    if kind == "JPEG":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    elif kind == "WEBP":
        struct.pack_into("<HH", data, data.index(b"VP8 ") + 14, width, height)
    else:
        struct.pack_into("<HH", data, data.index(b",") + 5 if frame else 6, width, height)
    return bytes(data)


def pixel_bombs() -> Iterator[tuple[str, bytes]]:
    yield "png 25000x25000, all there", png(25_000, 25_000, zeros(25_000 * 75_001))
    yield "png 60000x1", png(60_000, 1, zeros(180_001))
    yield "png 1x1", png(1, 1, zeros(4))
    yield "png lying 6000x6000", png(6_000, 6_000, zeros(100))
    yield "png lying 2^31", png(2**31 - 1, 2**31 - 1, zeros(100))
    for width, height in ((25_000, 25_000), (60_000, 1), (6_000, 6_000)):
        yield f"jpeg lying {width}x{height}", lying("JPEG", width, height)
        yield f"gif lying {width}x{height}", lying("GIF", width, height, frame=True)
    yield "gif screen 25000x25000", lying("GIF", 25_000, 25_000)
    for width, height in ((16_383, 16_383), (6_000, 6_000)):
        yield f"webp lying {width}x{height}", lying("WEBP", width, height)
    for kind in ("JPEG", "WEBP", "GIF"):
        yield f"{kind.lower()} 1x1", encoded(Image.new("RGB", (1, 1)), kind)


def metadata_bombs() -> Iterator[tuple[str, bytes]]:
    small = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "PNG")
    much = zeros(500 << 20)
    for kind, head in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")):
        yield f"{kind.decode()} of 500 MiB", small[:33] + chunk(kind, head + much) + small[33:]
    texts = b"".join(chunk(b"zTXt", b"k%d\0\0" % number + zeros(1 << 20)) for number in range(100))
    yield "100 zTXt of 1 MiB", small[:33] + texts + small[33:]
    gif = encoded(Image.new("P", (64, 64), 1), "GIF")
    frame = gif[gif.index(b",") : -1]
    yield "gif of 10,000 frames", gif[:-1] + frame * 9_999 + b";"
    entries = b"".join(struct.pack("<HHII", 1_000 + number, 7, 60_000, 0) for number in range(5_000))
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 5_000) + entries
    jpeg = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
    yield "EXIF of 5,000 tags of 60 kB each", jpeg[:2] + segment + jpeg[2:]
    yield "EXIF of 50 MiB", small[:33] + chunk(b"eXIf", exif + bytes(50 << 20)) + small[33:]
    profile = b"".join(
        b"\xff\xe2\xff\xffICC_PROFILE\0" + bytes([number + 1, 200]) + bytes(65_519) for number in range(200)
    )
    yield "profile of 13 MB", jpeg[:2] + profile + jpeg[2:]


def memory(line: str) -> float:
    """Return a line of this process's status in MiB."""
    found = re.search(rf"{line}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def main(folder: Path) -> None:
    """Admit every file of a folder; print its name, reason, milliseconds, and MiB by which the process grew."""
    from pipeline.acquire.pictures.admit import Refused, admit

    for kind in ("JPEG", "PNG", "WEBP", "GIF"):  # what is loaded once counts for none of them
        admit(encoded(Image.new("RGB", (64, 64)), kind), max_pixels=MAX_PIXELS)
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts from here
        before, started = memory("VmRSS"), time.perf_counter()
        verdict = admit(data, max_pixels=MAX_PIXELS)
        milliseconds = (time.perf_counter() - started) * 1_000
        reason = verdict.reason if isinstance(verdict, Refused) else "admitted"
        print(json.dumps([file.name, reason, milliseconds, memory("VmHWM") - before]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
