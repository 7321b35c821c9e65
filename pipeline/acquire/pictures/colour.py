"""Colours of an embedded ICC profile as colours of sRGB, which is what every picture without a profile is taken for."""

import functools
import io
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageCms

SAME = 3  # levels of 255 by which a profile may differ from sRGB and still be taken for it
STEPS = range(0, 256, 51)


def is_srgb(profile: bytes, mode: str) -> bool:
    """Tell whether a profile gives a picture of a mode the colours that it has without; a broken one does not count.

    Judged by what the profile does to a grid of colours, since names of profiles say little.
    """
    return _transform(profile, mode) is None


def to_srgb(picture: "Image.Image", profile: bytes) -> "Image.Image":
    """Return a picture of mode L, RGB or CMYK in RGB, by its profile if that is of the picture's kind.

    Relative colorimetric with black point compensation, so that white paper is white.
    """
    from PIL import ImageCms

    transform = _transform(profile, picture.mode)
    if transform is None:
        return picture.convert("RGB")
    return ImageCms.applyTransform(picture, transform) or picture.convert("RGB")


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> "ImageCms.ImageCmsTransform | None":
    """Return what turns a mode's values into sRGB; None where that changes nothing or the profile is not for it."""
    from PIL import ImageCms

    try:
        found = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        sample = _sample(mode)
        converted = ImageCms.applyTransform(sample, found)
    except (ImageCms.PyCMSError, OSError):
        return None
    assert converted is not None, "only a transform in place returns nothing"
    return found if _difference(converted, sample.convert("RGB")) > SAME else None


def _sample(mode: str) -> "Image.Image":
    """Return one pixel of each of a mode's colours on a grid."""
    from PIL import Image

    channels = len(Image.new(mode, (1, 1)).getbands())
    colours = list(itertools.product(STEPS, repeat=channels))
    return Image.frombytes(mode, (len(colours), 1), bytes(itertools.chain.from_iterable(colours)))


def _difference(one: "Image.Image", other: "Image.Image") -> int:
    """Return the largest difference between two RGB pictures of one size."""
    from PIL import ImageChops

    return max(ImageChops.difference(one, other).tobytes())
