"""What a data card, and what is published, cannot know from the run's own records."""

from pydantic import Field

from pipeline.config import Config


class CardWords(Config):
    """Words of the person who publishes; all may stay empty."""

    citation: str = Field("", description="how to cite it; empty: BibTeX made of name, credits and digest")
    contact: str = Field("", description="whom to ask")
    url: str = Field("", description="address of the page that describes it")
    version: str = Field("1.0.0", pattern=r"^\d+\.\d+\.\d+$", description="major.minor.patch of the release")
    published: str = Field("", pattern=r"^(\d{4}-\d{2}-\d{2})?$", description="day of the release, as YYYY-MM-DD")
    synthetic: bool = Field(False, description="whether a source holds pictures or captions that a model made")


class CardConfig(CardWords):
    """All words of a card."""

    name: str = Field("staged pairs", min_length=1, description="the data set's name for a person")
    description: str = Field("", description="one sentence in front of the facts")


class PublishConfig(Config):
    """What may be passed on besides what licences permit by themselves."""

    unknown: bool = Field(
        False, description="also samples of unknown licence; whoever says so has cleared them by other means"
    )
    model_licence: str = Field(
        "",
        description="of the weights of trained models, an SPDX expression; with it they go along, where everything "
        "that they learned from does",
    )
