"""How pictures are stored in the staged shards."""

from pydantic import Field

from pipeline.config import Config


class StageConfig(Config):
    """The size of pictures and of shards."""

    image_size: int = Field(128, ge=16, le=1024, description="side of the square pictures, in pixels")
    min_shards: int = Field(8, ge=1, description="shards a set, where it has 16 samples for each")
    max_shard_bytes: int = Field(256 * 2**20, ge=2**16, description="upper limit of a shard")
