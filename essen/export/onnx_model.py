"""A model from its ONNX files, with the calls of `essen.model.Essen`."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from essen.config import ModelConfig
from essen.errors import EssenError
from essen.export.onnx_files import PARTS, require_onnx
from essen.model import ImageFeatures, TextFeatures, prepare_pixels


class OnnxModel(nn.Module):
    """The parts of a model, run by ONNX Runtime on the processor.

    Attributes:
        config: of the model.
        paths: of its files.
    """

    def __init__(
        self, folder: Path, config: ModelConfig, logit_scale: float, *, suffix: str = "", threads: int = 0
    ) -> None:
        """Open the files.

        Args:
            folder: of the ONNX files.
            config: of the model.
            logit_scale: logarithm of the factor of the cosine, read where there is no fusion.
            suffix: of the files' names: ``""`` for float32, ``"_int8"``.
            threads: 0 for as many as there are cores.

        Raises:
            EssenError: a library or a file is missing.
        """
        super().__init__()
        self.config, self._logit_scale = config, logit_scale
        names = [name for name in PARTS if name != "fusion" or config.fusion.kind != "none"]
        self.paths = [folder / f"{name}{suffix}.onnx" for name in names]
        self._sessions = {name: _session(path, threads) for name, path in zip(names, self.paths, strict=True)}

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Return the features of pictures; see `essen.model.Essen.encode_images`."""
        return ImageFeatures(*self._run("image", pixel_values=prepare_pixels(pixels, self.config.image_size)))

    def encode_texts(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """Return the features of captions; see `essen.model.Essen.encode_texts`."""
        embedding, tokens = self._run("text", input_ids=ids, attention_mask=mask.long())
        return TextFeatures(embedding, tokens, mask)

    def match(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Return (B,) logits of pairs; see `essen.model.Essen.match`."""
        if "fusion" not in self._sessions:
            cosine: Tensor = (images.embedding * texts.embedding).sum(-1)
            return cosine * torch.tensor(self._logit_scale).exp()
        mask = texts.mask.long()
        return self._run("fusion", image_tokens=images.tokens, text_tokens=texts.tokens, attention_mask=mask)[0]

    def _run(self, name: str, **inputs: Tensor) -> list[Tensor]:
        outputs = self._sessions[name].run(None, {key: value.numpy() for key, value in inputs.items()})
        return [torch.from_numpy(output) for output in outputs]


def _session(path: Path, threads: int) -> Any:
    require_onnx()
    import onnxruntime

    if not path.is_file():
        raise EssenError(f"{path} is missing; export the model again")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors alone
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
