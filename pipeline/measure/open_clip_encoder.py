"""Any open_clip model as encoder of pictures and of captions: a folder on this machine, or a name of its list."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.measure.config import encoder_folder
from pipeline.measure.embed import RESIZE
from pipeline.measure.structure import structure_identity
from pipeline.parts import once

if TYPE_CHECKING:
    import numpy as np

PREFIX = "open_clip:"
LOCAL = "local-dir:"


class OpenClip:
    """An open_clip model, named ``open_clip:MODEL:PRETRAINED`` or ``open_clip:local-dir:FOLDER``; float32 on the CPU.

    Pictures are stretched to the model's square, where open_clip itself would crop them: their edges count.
    """

    def __init__(self, spec: str, batch_size: int = 64) -> None:
        """Load the weights; a model of the list is downloaded once, into the model hub's own cache.

        Raises:
            ConfigError: there is no such model, or it cannot be had.
        """
        import open_clip

        name, pretrained = _parts(spec)
        try:
            model, _, _ = open_clip.create_model_and_transforms(name, pretrained=pretrained, weights_only=True)
            self._tokenize = open_clip.get_tokenizer(name)
        except Exception as error:  # noqa: BLE001 - open_clip, its hub and its parsers raise classes of their own
            raise ConfigError(f"the encoder {spec} cannot be loaded: {' '.join(str(error).split())[:300]}") from None
        size = model.visual.image_size
        self.name = encoder_folder(spec)
        self.image_size = int(size[0] if isinstance(size, tuple) else size)
        self.identity = {**open_clip_identity(spec), "image_size": self.image_size}
        self._mean, self._deviation = model.visual.image_mean, model.visual.image_std
        self._model = model.eval()
        self.batch_size, self._spec = batch_size, spec
        self.dim = self.encode_texts(["a"]).shape[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return once, (OpenClip, self._spec, self.batch_size)

    def encode_images(self, pixels: "np.ndarray") -> "np.ndarray":
        """Return (N, dim) float32 vectors of unit length for (N, S, S, 3) uint8 pictures."""
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(pixels).float().div_(255)
            batch = batch.sub_(torch.tensor(self._mean)).div_(torch.tensor(self._deviation)).permute(0, 3, 1, 2)
            vectors: np.ndarray = self._model.encode_image(batch.contiguous(), normalize=True).numpy()
            return vectors

    def encode_texts(self, texts: Sequence[str]) -> "np.ndarray":
        """Return (N, dim) float32 vectors of unit length."""
        import numpy as np
        import torch

        with torch.inference_mode():
            batches = (texts[start : start + self.batch_size] for start in range(0, len(texts), self.batch_size))
            rows = [self._model.encode_text(self._tokenize(list(batch)), normalize=True).numpy() for batch in batches]
        return np.concatenate(rows) if rows else np.zeros((0, self.dim), dtype=np.float32)


def is_open_clip(spec: str) -> bool:
    """Tell whether an encoder's name is one of open_clip's."""
    return spec.startswith(PREFIX)


def open_clip_identity(spec: str) -> dict[str, Any]:
    """Return what decides a model's vectors, without loading it.

    Raises:
        ConfigError: the folder is missing, or open_clip has no model of that name.
    """
    from importlib.metadata import version

    import open_clip

    name, pretrained = _parts(spec)
    found: dict[str, Any] = {"encoder": spec, "resize": RESIZE, "open_clip": version("open_clip_torch")}
    found |= {"structure": structure_identity()}
    if name.startswith(LOCAL):
        folder = Path(name.removeprefix(LOCAL))
        if not (folder / "open_clip_config.json").is_file():
            raise ConfigError(f"{folder} holds no open_clip model: there is no open_clip_config.json")
        return found | {"files": {file.name: files.sha256_file(file) for file in files.files_below(folder)}}
    if name not in open_clip.list_models():
        raise ConfigError(f"open_clip has no model {name}; see open_clip.list_pretrained()")
    return found | {"pretrained": pretrained}


def _parts(spec: str) -> tuple[str, str | None]:
    """Return the model's name and the tag of its weights, None for a folder."""
    rest = spec.removeprefix(PREFIX)
    if rest.startswith(LOCAL):
        return rest, None
    name, _, pretrained = rest.partition(":")
    if not pretrained:
        raise ConfigError(
            f"the encoder {spec} names no weights; write {PREFIX}MODEL:PRETRAINED or {PREFIX}{LOCAL}FOLDER"
        )
    return name, pretrained
