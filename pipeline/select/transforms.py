"""What happens to a picture on its way from one book, site or set to another: copies that are known to be copies."""

import io
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Transform = Callable[["Image.Image", "np.random.Generator"], "Image.Image"]


def reencoded(picture: "Image.Image", generator: "np.random.Generator", *, quality: int) -> "Image.Image":  # noqa: ARG001
    """Return the picture after JPEG compression."""
    from PIL import Image

    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    with Image.open(out) as again:
        return again.convert("RGB")


def resized(picture: "Image.Image", generator: "np.random.Generator", *, share: float) -> "Image.Image":  # noqa: ARG001
    """Return the picture with sides of `share` of its own."""
    from PIL import Image

    width, height = (max(1, round(side * share)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def cropped(picture: "Image.Image", generator: "np.random.Generator", *, share: float) -> "Image.Image":
    """Return the picture without `share` of its width and of its height, taken from either edge at random."""
    width, height = (max(1, round(side * (1 - share))) for side in picture.size)
    left = int(generator.integers(picture.width - width + 1))
    top = int(generator.integers(picture.height - height + 1))
    return picture.crop((left, top, left + width, top + height))


def flipped(picture: "Image.Image", generator: "np.random.Generator") -> "Image.Image":  # noqa: ARG001
    """Return the picture in a mirror."""
    from PIL import ImageOps

    return ImageOps.mirror(picture)


def recoloured(picture: "Image.Image", generator: "np.random.Generator") -> "Image.Image":
    """Return the picture with all hues turned by 60 to 300 degrees."""
    import numpy as np
    from PIL import Image

    hue, saturation, value = picture.convert("HSV").split()
    turned = (np.asarray(hue).astype(np.int64) + int(generator.integers(43, 214))) % 256
    merged = Image.merge("HSV", (Image.fromarray(turned.astype(np.uint8)), saturation, value))
    return merged.convert("RGB")


def brightened(picture: "Image.Image", generator: "np.random.Generator") -> "Image.Image":
    """Return the picture a third lighter or darker."""
    from PIL import ImageEnhance

    return ImageEnhance.Brightness(picture).enhance(float(generator.choice([0.67, 1.33])))


def decoloured(picture: "Image.Image", generator: "np.random.Generator") -> "Image.Image":  # noqa: ARG001
    """Return the picture in grey: the other way round, a copy that was coloured in."""
    return picture.convert("L").convert("RGB")


def outlined(picture: "Image.Image", generator: "np.random.Generator") -> "Image.Image":  # noqa: ARG001
    """Return the contours alone, dark on white, as in a colouring book."""
    from PIL import ImageFilter, ImageOps

    smooth = picture.convert("L").filter(ImageFilter.MedianFilter(5))
    edges = smooth.filter(ImageFilter.FIND_EDGES).crop((1, 1, picture.width - 1, picture.height - 1))
    lines = ImageOps.invert(edges).point(lambda level: 255 if level > 225 else 30)
    return ImageOps.expand(lines, border=1, fill=255).convert("RGB")


def captioned(picture: "Image.Image", generator: "np.random.Generator") -> "Image.Image":  # noqa: ARG001
    """Return the picture as a page: a white strip with lines of print below it."""
    from PIL import Image, ImageDraw

    strip = max(8, round(picture.height * 0.15))
    page = Image.new("RGB", (picture.width, picture.height + strip), "white")
    page.paste(picture)
    pen = ImageDraw.Draw(page)
    size = max(6, strip / 3)
    for line in range(2):
        top = picture.height + strip * (0.1 + 0.45 * line)
        pen.text((picture.width * 0.05, top), "Once upon a time there was a little bird.", fill="black", font_size=size)
    return page


TRANSFORMS: Mapping[str, Transform] = MappingProxyType(
    {
        "re-encode q90": partial(reencoded, quality=90),
        "re-encode q60": partial(reencoded, quality=60),
        "re-encode q30": partial(reencoded, quality=30),
        "resize 50 %": partial(resized, share=0.5),
        "crop 5 %": partial(cropped, share=0.05),
        "crop 10 %": partial(cropped, share=0.10),
        "crop 20 %": partial(cropped, share=0.20),
        "flip": flipped,
        "recolour": recoloured,
        "brightness": brightened,
        "grey": decoloured,
        "outline": outlined,
        "caption strip": captioned,
    }
)
