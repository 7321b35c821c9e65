"""Where a corpus comes from: the ``source`` of a data card, one model for each engine."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config import Config


class Source(Config):
    """What every engine's source has."""

    min_success_rate: float = Field(default=0.5, ge=0, le=1, description="fewer successes a row than this stop the run")


class Exclude(Config):
    """Which drawings of an icon set are rows of status ``excluded``."""

    flags: bool = Field(default=True, description="category Flags, or a name flag-*")
    skin_tones: bool = Field(default=True, description="skin-tone variants of a drawing that the set has without one")


class IconifySource(Source):
    """Named drawings of an icon set in Iconify's JSON form, published as an npm package."""

    engine: Literal["iconify"] = "iconify"
    package: str = Field(description="name of the npm package", pattern=r"^(@[a-z0-9._-]+/)?[a-z0-9][a-z0-9._-]*$")
    version: str = Field(description="exact version", pattern=r"^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$")
    integrity: str = Field(
        description="sha512 of the archive as `npm view PACKAGE@VERSION dist.integrity` prints it",
        pattern=r"^sha512-[A-Za-z0-9+/]{86}==$",
    )
    exclude: Exclude = Exclude()
    size: int = Field(
        default=128, ge=8, le=4096, description="side of the square that a drawing is rendered into, in pixels"
    )
    spelling: str = Field(default="", description="card whose icon names spell out names that have no hyphens")


class Columns(Config):
    """Names of a list's columns; an empty name means that the list has no such column."""

    url: str = "url"
    caption: str = "caption"
    group: str = ""
    category: str = ""
    lang: str = ""
    licence: str = ""
    file: str = Field(default="", description="path of the picture in a mirror; without it the URL's path")


class ListedHash(Config):
    """The column with each picture's sha256, and whose bytes it is of."""

    column: str = "sha256"
    of: Literal["published", "mirror"] = Field(
        default="published",
        description="mirror: of the copies in the mirror; not checked when the originals are fetched",
    )


class AttributionTable(Config):
    """A table beside the list with one credit for each work."""

    file: str = Field(description="CSV file, relative to the list's folder")
    key: tuple[str, ...] = Field(description="columns of the table that, joined by '-', name the work")
    match: str = Field("group", description="column of the list that holds this name")
    template: str = Field(description="the credit; $column stands for the table's value")


class UrlListSource(Source):
    """A list of URLs with captions, fetched by img2dataset."""

    engine: Literal["url_list"] = "url_list"
    list: str = Field(description="CSV, TSV, JSONL or Parquet file, relative to the mirror's folder")
    columns: Columns = Columns()
    sha256: ListedHash | None = None
    attribution: AttributionTable | None = None
    max_pixels: int = Field(
        default=40_000_000, gt=0, description="larger pictures are refused from their header, undecoded"
    )
    allow_private_hosts: bool = Field(default=False, description="fetch from private and loopback addresses")
    timeout: float = Field(default=10, gt=0, description="seconds that a connection may stay silent")
    retries: int = Field(default=2, ge=0, description="further attempts for a URL that failed")
    threads: int = Field(default=16, ge=1, description="simultaneous requests")
    urls_per_part: int = Field(default=500, ge=1, description="a part is fetched, judged and kept as a whole")
    patience: float = Field(default=30, gt=0, description="seconds without any progress after which a fetch is ended")


class FolderSource(Source):
    """A person's own pictures in a folder, captioned by a metadata file or by text files beside them."""

    engine: Literal["folder"] = "folder"
    path: str = Field(description="the folder, relative to the card's own folder")
    metadata: str = Field(
        default="",
        description="CSV, JSONL or Parquet file; empty: metadata.csv, .jsonl or .parquet, else NAME.txt by NAME.jpg",
    )
    max_pixels: int = Field(
        default=40_000_000, gt=0, description="larger pictures are refused from their header, undecoded"
    )


AnySource = Annotated[IconifySource | UrlListSource | FolderSource, Field(discriminator="engine")]
