"""Small ICC profiles made by hand, and the sRGB values that they stand for."""

import itertools
import struct

import numpy as np

# Columns: red, green and blue in XYZ under D50.
P3 = np.array([[0.5151, 0.2919, 0.1572], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
SRGB = np.array([[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
WHITE = np.array([0.9642, 1.0, 0.8249])
GAMMA = 2.0


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65_536) for value in values))


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, content = struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(content), len(body))
        content += body + bytes(-len(body) % 4)
    head = struct.pack(">I4sI4s4s4s12s4s", 132 + 12 * len(tags) + len(content), b"", 0x02400000, kind, space,
                       connection, struct.pack(">6H", 2000, 1, 1, 0, 0, 0), b"acsp")  # fmt: skip
    head += bytes(28) + _fixed(*WHITE) + bytes(48)
    return head + table + content


def display_p3() -> bytes:
    """RGB with the primaries of Display P3 and a plain gamma."""
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _fixed(*WHITE)}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), P3.T, strict=True):
        tags[name] = b"XYZ \0\0\0\0" + _fixed(*column)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256))
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def from_p3(values: np.ndarray) -> np.ndarray:
    """sRGB levels, 0 to 255, of (..., 3) levels under `display_p3`."""
    linear = (values / 255) ** GAMMA
    return _encoded(linear @ P3.T)


def grey_gamma() -> bytes:
    """Grey with a plain gamma."""
    tags = {
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*WHITE),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256)),
    }
    return _profile(b"mntr", b"GRAY", b"XYZ ", tags)


def from_grey(values: np.ndarray) -> np.ndarray:
    return _encoded(((values / 255) ** GAMMA)[..., None] * WHITE)


INKS = {0: (0, -20, -20), 1: (0, 30, 0), 2: (0, 0, 40)}  # what cyan, magenta and yellow add to L*, a* and b*


def printing() -> bytes:
    """CMYK in which lightness goes with black, and each ink adds a little colour."""
    grid = []
    for inks in itertools.product((0, 1), repeat=4):
        lab = np.array([100.0 * (1 - inks[3]) - 15 * sum(inks[:3]) * (1 - inks[3]), 0, 0])
        for number, shift in INKS.items():
            lab += np.array(shift) * inks[number] * (1 - inks[3])
        grid += [round(lab[0] * 2.55), round(lab[1] + 128), round(lab[2] + 128)]
    same = bytes(range(256))
    table = (
        b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + same * 4 + bytes(grid) + same * 3
    )
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _fixed(*WHITE), b"A2B0": table, b"A2B1": table}
    return _profile(b"prtr", b"CMYK", b"Lab ", tags)


def from_lab(lightness: float, a: float, b: float) -> np.ndarray:
    """sRGB levels of a colour in L*a*b* under D50."""
    y = (lightness + 16) / 116
    steps = np.array([y + a / 500, y, y - b / 200])
    return _encoded(np.where(steps > 6 / 29, steps**3, 3 * (6 / 29) ** 2 * (steps - 4 / 29)) * WHITE)


def _encoded(xyz: np.ndarray) -> np.ndarray:
    linear = np.clip(xyz @ np.linalg.inv(SRGB).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
