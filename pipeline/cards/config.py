"""What a data card cannot know from the run's own records."""

from pydantic import Field

from pipeline.config import Config


class CardConfig(Config):
    """Words of the person who publishes."""

    name: str = Field("staged pairs", min_length=1, description="the data set's name for a person")
    description: str = Field("", description="one sentence in front of the facts")
    citation: str = Field("", description="how to cite it")
    contact: str = Field("", description="whom to ask")
