"""Encoded pictures as containers: what the headers say, and the same picture without what is not pixels.

Nothing is decoded here and nothing inflated beyond a bound, so a file that promises too much costs its own length.
What stays are the parts that decide pixels, byte for byte: of a JPEG all but its application segments (JFIF without its
thumbnail and Adobe's colour transform stay) and comments; of a PNG the critical chunks and ``tRNS``; of a WebP the
bitstream and its alpha; of a GIF the screen, the first image and the control block before it. Cameras, places,
comments, thumbnails and all that follows the end of the picture are gone. Of an animation the first frame stays.

Sources: JPEG ITU-T T.81 annex B and T.871; PNG third edition; RFC 9649 (WebP); GIF89a.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PROFILE = 4 << 20  # bytes; printing profiles have up to 3 MB
MAX_EXIF = 1 << 16  # bytes that are looked at; the first directory comes first
DEFLATE_RATIO = 1032  # no deflate stream expands more
ORIENTATION = 0x0112

JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.S)  # not a stuffed byte, a restart or a fill byte
SOF = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
HUFFMAN_SOF = frozenset({0xC0, 0xC1, 0xC2})
APP0, APP1, APP2, APP14, APP15, COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
SOI, EOI, SOS, TEM = 0xD8, 0xD9, 0xDA, 0x01

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type

WEBP_ALPHA, WEBP_ANIMATION = 0x10, 0x02


class BrokenFile(ValueError):
    """A file ends early or contradicts itself; the text says how."""


@dataclass(frozen=True, slots=True)
class Container:
    """What a file says about its picture.

    Attributes:
        kind: Pillow's name of the format.
        width, height: in pixels, as the header has them: the largest where there are several.
        image: the encoded first picture without metadata; the file's own bytes where it had none.
        depth: bits of a channel.
        orientation: of EXIF, 1 (upright) to 8.
        profile: the embedded ICC profile; empty where there is none, or none of a sane size.
        animated: whether there are further frames.
        plausible: whether its bytes can hold as many pixels as the header says.
    """

    kind: str
    width: int
    height: int
    image: bytes
    depth: int = 8
    orientation: int = 1
    profile: bytes = b""
    animated: bool = False
    plausible: bool = True


def read_container(data: bytes) -> Container | None:
    """Return what a JPEG, PNG, WebP or GIF file says; None for anything else.

    Raises:
        BrokenFile: it is cut, a checksum is wrong, or it is no such file behind its first bytes.
    """
    for start, read in ((b"\xff\xd8\xff", _jpeg), (b"\x89PNG", _png), (b"GIF8", _gif), (b"RIFF", _webp)):
        if data.startswith(start) and (start != b"RIFF" or data[8:12] == b"WEBP"):
            try:
                return read(data)
            except (IndexError, struct.error):
                raise BrokenFile("the end of the file is missing") from None
    return None


def _jpeg(data: bytes) -> Container:
    kept, exif, profile = [b"\xff\xd8"], b"", dict[int, bytes]()
    frame, coded = (0, b""), 0
    for marker, body, scan in _jpeg_segments(data):
        if marker == APP1 and body.startswith(b"Exif\0\0"):
            exif = exif or body[6:]
        elif marker == APP2 and body.startswith(b"ICC_PROFILE\0"):
            profile[body[12]] = body[14:]
        elif marker == APP0 and body.startswith(b"JFIF\0") and len(body) >= 14:
            kept.append(_jpeg_segment(marker, body[:12] + b"\0\0"))
        elif marker == APP14 and body.startswith(b"Adobe"):
            kept.append(_jpeg_segment(marker, body[:12]))
        elif not APP0 <= marker <= APP15 and marker != COM:
            kept += [_jpeg_segment(marker, body), scan]
        if marker in SOF and not frame[0]:
            frame = (marker, body)
        coded += len(scan)
    depth, height, width = struct.unpack_from(">BHH", frame[1])
    image = b"".join((*kept, b"\xff\xd9"))
    icc = b"".join(profile[number] for number in sorted(profile))
    icc = icc if len(icc) <= MAX_PROFILE else b""
    plausible = frame[0] not in HUFFMAN_SOF or 8 * coded >= _jpeg_blocks(frame[1])
    return Container("JPEG", width, height, image, depth, orientation(exif), icc, plausible=plausible)


def _jpeg_blocks(frame: bytes) -> int:
    """Return the least number of blocks of a frame; each takes at least a bit of Huffman code."""
    height, width, components = struct.unpack_from(">HHB", frame, 1)
    factors = [(frame[7 + 3 * number] >> 4, frame[7 + 3 * number] & 15) for number in range(components)]
    across, down = (max(1, *sides) for sides in zip(*factors, (1, 1), strict=True))
    return sum((width * h // across // 8) * (height * v // down // 8) for h, v in factors)


def _jpeg_segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield marker, content and, of a scan, the coded data that follow it, up to the end of the first picture."""
    position = 2
    while found := JPEG_MARKER.search(data, position):
        marker, position = found[0][1], found.end()
        if marker == EOI:
            return
        if marker in (SOI, TEM):
            continue
        (length,) = struct.unpack_from(">H", data, position)
        start, position = position + 2, position + length
        if length < 2 or position > len(data):
            break
        end = position
        if marker == SOS:
            following = JPEG_MARKER.search(data, position)
            if following is None:
                break
            end = following.start()
        yield marker, data[start:position], data[position:end]
        position = end
    raise BrokenFile("the end of the file is missing")


def _png(data: bytes) -> Container:
    if not data.startswith(PNG_SIGNATURE) or data[12:16] != b"IHDR":
        raise BrokenFile("its header is broken")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    kept: list[bytes | memoryview] = [PNG_SIGNATURE]
    exif, profile, coded, frames = b"", b"", 0, 0
    for kind, body, chunk in _png_chunks(memoryview(data)):
        if not kind[0] & 0x20 or kind == b"tRNS":
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
                raise BrokenFile(f"the checksum of {kind.decode('ascii', 'replace')} is wrong")
            kept.append(chunk)
        if kind == b"IDAT":
            frames = max(frames, 1)  # the first frame, or a picture that stands for the animation
            coded += len(body)
        elif kind == b"fcTL":
            frames += 1 if coded else 0
        elif kind == b"eXIf":
            exif = bytes(body[:MAX_EXIF])
        elif kind == b"iCCP":
            profile = _inflated(bytes(body).partition(b"\0")[2][1:])
    image = b"".join(kept)
    plausible = coded * DEFLATE_RATIO >= height * (width * PNG_CHANNELS.get(colour, 1) * depth // 8)
    return Container("PNG", width, height, image, depth, orientation(exif), profile, frames > 1, plausible)


def _png_chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Yield kind, content and all bytes of every chunk up to the last."""
    position, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise BrokenFile("the end of the file is missing")
        yield kind, data[position + 8 : end - 4], data[position:end]
        position = end


def _inflated(data: bytes) -> bytes:
    """Return an inflated ICC profile; nothing where it is broken or larger than any real one."""
    inflate = zlib.decompressobj()
    try:
        profile = inflate.decompress(data, MAX_PROFILE)
    except zlib.error:
        return b""
    return profile if inflate.eof else b""


def _gif(data: bytes) -> Container:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + _colours(flags)
    kept, control, frames = [data[:position]], b"", 0
    while (kind := data[position]) != 0x3B:
        start = position
        if kind == 0x21:
            position = _after_blocks(data, position + 2)
            if data[start + 1] == 0xF9:
                control = data[start:position]
        elif kind == 0x2C:
            left, top, across, down, flags = struct.unpack_from("<HHHHB", data, position + 1)
            position = _after_blocks(data, position + 11 + _colours(flags))
            if not frames:
                kept += [control, data[start:position]]
                width, height = max(width, left + across), max(height, top + down)
            frames += 1
        elif kind == 0:
            position += 1
        else:
            raise BrokenFile("a block of it is broken")
    if not frames:
        raise BrokenFile("it holds no picture")
    return Container("GIF", width, height, b"".join((*kept, b";")), animated=frames > 1)


def _colours(flags: int) -> int:
    """Return the length of the colour table that a GIF's flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, position: int) -> int:
    """Return the position after a GIF's run of sub-blocks."""
    while size := data[position]:
        position += size + 1
    return position + 1


def _webp(data: bytes) -> Container:
    sizes, kept, animated, plausible = [(0, 0)], list[bytes](), False, True
    exif = profile = b""
    for kind, body in _webp_chunks(data):
        if kind == b"VP8X":
            sizes.append((1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")))
            kept.append(_webp_chunk(kind, bytes([body[0] & (WEBP_ALPHA | WEBP_ANIMATION)]) + body[1:]))
        elif kind == b"EXIF":
            exif = bytes(body[:MAX_EXIF]).removeprefix(b"Exif\0\0")
        elif kind == b"ICCP" and len(body) <= MAX_PROFILE:
            profile = bytes(body)
        elif kind == b"ANMF" and not animated:
            sizes.append((1 + int.from_bytes(body[6:9], "little"), 1 + int.from_bytes(body[9:12], "little")))
            kept.append(_webp_chunk(kind, body))
            animated = True
        elif kind in (b"VP8 ", b"VP8L"):
            sizes.append(_webp_size(kind, body))
            kept.append(_webp_chunk(kind, body))
            plausible = kind == b"VP8L" or 8 * len(body) >= (sizes[-1][0] // 16) * (sizes[-1][1] // 16)
        elif kind in (b"ANIM", b"ALPH"):
            kept.append(_webp_chunk(kind, body))
    width, height = (max(side) for side in zip(*sizes, strict=True))
    content = b"WEBP" + b"".join(kept)
    image = b"RIFF" + struct.pack("<I", len(content)) + content
    return Container("WEBP", width, height, image, 8, orientation(exif), profile, animated, plausible)


def _webp_chunk(kind: bytes, body: bytes | memoryview) -> bytes:
    return b"".join((kind, struct.pack("<I", len(body)), body, bytes(len(body) & 1)))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise BrokenFile("the end of the file is missing")
    position, view = 12, memoryview(data)
    while position + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, position)
        if position + 8 + size > end:
            raise BrokenFile("the end of the file is missing")
        yield kind, view[position + 8 : position + 8 + size]
        position += 8 + size + (size & 1)


def _webp_size(kind: bytes, body: memoryview) -> tuple[int, int]:
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    (bits,) = struct.unpack_from("<I", body, 1)
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)


def orientation(exif: bytes) -> int:
    """Return the orientation in an EXIF block (a TIFF header and its first directory), 1 where it has none.

    A directory can point at the same megabyte thousands of times; nothing but this one value is read of it.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, directory + 2 + 12 * entry)
            if tag == ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
