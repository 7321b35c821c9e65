"""Model, training and scoring configuration: immutable values, unknown keys are refused. Light to import."""

from essen.config.base import Config
from essen.config.model import (
    AnyFusion,
    AnyText,
    AnyVision,
    BackboneConfig,
    FusionConfig,
    ModelConfig,
    NoFusionConfig,
    PatchConfig,
    PretrainedTextConfig,
    ShallowConfig,
    TextConfig,
    VisionConfig,
)
from essen.config.sampling import (
    AdaptiveConfig,
    LearnabilityConfig,
    MixturePoint,
    PacingConfig,
    SamplingConfig,
    TonicsConfig,
)
from essen.config.scoring import EvaluateConfig, HeadConfig, ScoreConfig, ScoringConfig
from essen.config.training import AugmentConfig, ObjectiveConfig, StoppingConfig, TrainConfig

__all__ = [
    "AdaptiveConfig",
    "AnyFusion",
    "AnyText",
    "AnyVision",
    "AugmentConfig",
    "BackboneConfig",
    "Config",
    "EvaluateConfig",
    "FusionConfig",
    "HeadConfig",
    "LearnabilityConfig",
    "MixturePoint",
    "ModelConfig",
    "NoFusionConfig",
    "ObjectiveConfig",
    "PacingConfig",
    "PatchConfig",
    "PretrainedTextConfig",
    "SamplingConfig",
    "ScoreConfig",
    "ScoringConfig",
    "ShallowConfig",
    "StoppingConfig",
    "TextConfig",
    "TonicsConfig",
    "TrainConfig",
    "VisionConfig",
]
