"""What a data card, and what is published, cannot know from the run's own records."""

from pydantic import Field

from pipeline.config import Config


class CardConfig(Config):
    """Words of the person who publishes."""

    name: str = Field("staged pairs", min_length=1, description="the data set's name for a person")
    description: str = Field("", description="one sentence in front of the facts")
    citation: str = Field("", description="how to cite it")
    contact: str = Field("", description="whom to ask")


class PublishConfig(Config):
    """What may be passed on besides what licences permit by themselves."""

    unknown: bool = Field(
        False, description="also samples of unknown licence; whoever says so has cleared them by other means"
    )
