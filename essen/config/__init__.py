"""Model, training and scoring configuration: immutable values, unknown keys are refused. Light to import."""

from essen.config.adapt import (
    AdaptConfig,
    AdapterConfig,
    AnyAdapt,
    CacheConfig,
    DeepConfig,
    GatedConfig,
    LowRankConfig,
    SharedConfig,
)
from essen.config.base import Config
from essen.config.claims import ClaimConfig
from essen.config.distillation import AnyDistillation, MutualConfig, TeacherConfig
from essen.config.model import (
    AnyFusion,
    AnyText,
    AnyVision,
    BackboneConfig,
    FusionConfig,
    JointConfig,
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
    "AdaptConfig",
    "AdapterConfig",
    "AdaptiveConfig",
    "AnyAdapt",
    "AnyDistillation",
    "AnyFusion",
    "AnyText",
    "AnyVision",
    "AugmentConfig",
    "BackboneConfig",
    "CacheConfig",
    "ClaimConfig",
    "Config",
    "DeepConfig",
    "EvaluateConfig",
    "FusionConfig",
    "GatedConfig",
    "HeadConfig",
    "JointConfig",
    "LearnabilityConfig",
    "LowRankConfig",
    "MixturePoint",
    "ModelConfig",
    "MutualConfig",
    "NoFusionConfig",
    "ObjectiveConfig",
    "PacingConfig",
    "PatchConfig",
    "PretrainedTextConfig",
    "SamplingConfig",
    "ScoreConfig",
    "ScoringConfig",
    "ShallowConfig",
    "SharedConfig",
    "StoppingConfig",
    "TeacherConfig",
    "TextConfig",
    "TonicsConfig",
    "TrainConfig",
    "VisionConfig",
]
