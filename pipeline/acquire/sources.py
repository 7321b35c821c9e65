"""Where a corpus comes from: the ``source`` of a data card, one model for each engine."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from pipeline.acquire.engines.shard_specs import check_spec
from pipeline.acquire.net.config import NetConfig
from pipeline.config import Config


class Source(Config):
    """What every engine's source has."""

    min_success_rate: float = Field(default=0.5, ge=0, le=1, description="fewer successes a row than this stop the run")
    animated: Literal["first", "drop"] = Field(
        default="first", description="of an animation the first frame is used, or the row is dropped"
    )
    max_pixels: int = Field(
        default=40_000_000, gt=0, description="larger pictures are refused from their header, undecoded"
    )


class Exclude(Config):
    """Which drawings of an icon set are rows of status ``excluded``."""

    flags: bool = Field(default=True, description="category Flags, or a name flag-*")
    skin_tones: bool = Field(default=True, description="skin-tone variants of a drawing that the set has without one")


class NpmPackage(Config):
    """A package of the npm registry."""

    package: str = Field(description="name of the npm package", pattern=r"^(@[a-z0-9._-]+/)?[a-z0-9][a-z0-9._-]*$")
    version: str = Field(description="exact version", pattern=r"^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$")
    integrity: str = Field(
        description="sha512 of the archive as `npm view PACKAGE@VERSION dist.integrity` prints it",
        pattern=r"^sha512-[A-Za-z0-9+/]{86}==$",
    )


class NpmSource(Source, NpmPackage):
    """Drawings in a package of the npm registry."""


class IconSetSource(NpmSource):
    """Drawings of one icon set in Iconify's JSON form."""

    exclude: Exclude = Exclude()
    size: int = Field(
        default=128, ge=8, le=4096, description="side of the square that a drawing is rendered into, in pixels"
    )
    spelling: str = Field(default="", description="card whose icon names spell out names that have no hyphens")
    spelled: dict[str, str] = Field(default={}, description="names whose words are these, whatever else says")
    aliases: bool = Field(
        default=False, description="rows for further names of drawings, and for drawings turned or mirrored"
    )


class IconifySource(IconSetSource):
    """Drawings of an icon set, named as the set names them."""

    engine: Literal["iconify"] = "iconify"


class IconNamesSource(IconSetSource):
    """Drawings of an icon set of emoji, named in any of the languages in which Unicode's CLDR names characters."""

    engine: Literal["icon_names"] = "icon_names"
    names: NpmPackage = Field(description="the npm package cldr-annotations-full")
    languages: tuple[str, ...] = Field(min_length=1, description="of the captions, a row for each")


class IconSetsSource(NpmSource):
    """Named drawings of many icon sets in Iconify's JSON form, all in one npm package, each under its own licence."""

    engine: Literal["icon_sets"] = "icon_sets"
    licences: tuple[str, ...] = Field(
        min_length=1, description="SPDX licences of the sets that are used; icons of the others are rows `excluded`"
    )
    size: int = Field(
        default=64, ge=8, le=4096, description="side of the square that a drawing is rendered into, in pixels"
    )
    turns: int = Field(
        default=1, ge=1, le=4, description="rows for each icon: as it is, then turned by one, two, three quarter turns"
    )


def _is_nothing(value: Any) -> bool:
    """Tell whether a field that came later says nothing: left out, it changes no digest of a card from before."""
    return not value


class Columns(Config):
    """Names of a list's columns, ``a.b`` for an entry of a JSON object; empty where the list has no such column."""

    url: str = "url"
    caption: str = "caption"
    captions: dict[str, str] = Field(
        default={}, exclude_if=_is_nothing, description="columns of captions in other languages, by language"
    )
    group: str | tuple[str, ...] = Field(default="", description="column, or several whose values '-' joins")
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
    match: str | tuple[str, ...] = Field("group", description="column of the list that holds this name, or several")
    template: str = Field(description="the credit; $column stands for the table's value")


class UrlListSource(Source):
    """A list of URLs with captions, fetched by img2dataset."""

    engine: Literal["url_list"] = "url_list"
    list: str = Field(
        description="CSV, TSV, JSONL or Parquet file, relative to the mirror's folder; or an address, as s3://b/list.csv"
    )
    list_sha256: str = Field(
        default="", pattern=r"^([0-9a-f]{64})?$", exclude_if=_is_nothing, description="hash that the list must have"
    )
    columns: Columns = Columns()
    languages: tuple[str, ...] = Field(
        default=(), exclude_if=_is_nothing, description="of the captions, a row for each; empty: the column caption"
    )
    only: dict[str, str] = Field(
        default={}, exclude_if=_is_nothing, description="values of columns; lines with another are rows `excluded`"
    )
    sha256: ListedHash | None = None
    attribution: AttributionTable | None = None
    translators: AttributionTable | None = Field(
        default=None,
        exclude_if=_is_nothing,
        description="a further credit for captions in another language, which is the last column of its key",
    )
    on_changed: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="a picture whose bytes are not those of its first acquisition, with no listed sha256",
    )
    net: NetConfig = NetConfig()
    threads: int = Field(default=32, ge=1, description="simultaneous requests, to all hosts together")
    urls_per_part: int = Field(default=1_000, ge=2, description="a part is fetched, judged and kept as a whole")
    patience: float = Field(
        default=30,
        gt=0,
        description="seconds for which img2dataset may do nothing although it is kept waiting by nobody",
    )
    memory: int = Field(default=2**31, ge=2**29, description="bytes of data that a process of img2dataset may hold")


class FolderSource(Source):
    """A person's own pictures in a folder, captioned by a file, or by text files beside them."""

    engine: Literal["folder"] = "folder"
    path: str = Field(description="the folder, relative to the card's own folder")
    format: Literal["auto", "metadata", "sidecar", "coco", "flickr30k", "localized_narratives"] = Field(
        default="auto", description="how captions are written; auto goes by the names of files, see engine folder"
    )
    metadata: str = Field(
        default="",
        description="the file of captions, or a pattern of several; empty: the one of a known name, else NAME.txt by "
        "NAME.jpg",
    )
    pictures: str = Field(
        default="", description="folder of the pictures below `path`, where they have one of their own"
    )
    max_bytes: int = Field(default=20_000_000, gt=0, description="larger files are refused unread")


class Facts(Config):
    """Where a data set says what it knows of a sample; an empty place means that it does not say."""

    url: str = ""
    group: str = ""
    category: str = ""
    lang: str = ""
    licence: str = ""
    attribution: str = ""
    sha256: str = Field(default="", description="hash that the picture's bytes must have, in hex")


class WebdatasetColumns(Facts):
    """Where a sample's values lie: an extension (``txt``), or a key of a JSON member (``json.caption``)."""

    caption: tuple[str, ...] = Field(
        default=("txt", "json.caption"), min_length=1, description="the first that is there; a list is several captions"
    )


class WebdatasetSource(Source):
    """Existing WebDataset shards: uncompressed tars, on this machine or behind HTTP."""

    engine: Literal["webdataset"] = "webdataset"
    shards: tuple[str, ...] = Field(
        min_length=1,
        description="files, globs and brace patterns (relative to the card's folder), or addresses with brace patterns "
        "(http, s3, …); local ones first",
    )
    images: tuple[str, ...] = Field(
        default=("jpg", "jpeg", "png", "webp", "gif"),
        min_length=1,
        description="extensions of pictures; of several in a sample the first of these",
    )
    columns: WebdatasetColumns = WebdatasetColumns()
    ignore: tuple[str, ...] = Field(
        default=(), description="extensions passed over unread, such as npy; otherwise a pickle refuses its sample"
    )
    sha256: dict[str, Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]] = Field(
        default={}, description="hash of a shard by its file name"
    )
    index: str = Field(
        default="", description="wids index with md5 and counts; empty: index.json and sizes.json beside the shards"
    )
    max_bytes: int = Field(default=20_000_000, gt=0, description="larger pictures are refused unread")
    max_shard_bytes: int = Field(default=10_000_000_000, gt=0, description="larger shards are not fetched")
    allow_private_hosts: bool = Field(default=False, description="fetch from private and loopback addresses")
    timeout: float = Field(default=30, gt=0, description="seconds that a connection may stay silent")
    deadline: float = Field(default=3_600, gt=0, description="seconds for one shard")
    retries: int = Field(default=2, ge=0, description="further attempts for a shard that failed")

    @field_validator("shards")
    @classmethod
    def _are_shards(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_spec(spec) for spec in specs)

    @field_validator("images", "ignore")
    @classmethod
    def _in_lower_case(cls, extensions: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(extension.lower().removeprefix(".") for extension in extensions)


class HubColumns(Facts):
    """Names of a data set's columns, with dots for what lies inside one; an empty name means that there is none."""

    image: str = "image"
    caption: str = Field(default="caption", description="text, or a list of texts: several captions of the picture")


class HubSource(Source):
    """A data set of the Hugging Face hub at one commit, or one on this machine in any form that `datasets` reads."""

    engine: Literal["hub"] = "hub"
    path: str = Field(
        min_length=1,
        description="name on the hub, with `revision`; else a folder or file relative to the card's folder",
    )
    revision: str = Field(default="", description="commit of the data set on the hub", pattern=r"^([0-9a-f]{40})?$")
    config: str = Field(default="", description="its configuration, where it has several")
    split: str = "train"
    files: tuple[str, ...] = Field(
        default=(), description="patterns of the files to fetch from the hub; empty: all of the commit"
    )
    streaming: bool = Field(default=False, description="read as it comes, and keep no copy; the rows are the same")
    columns: HubColumns = HubColumns()
    max_bytes: int = Field(default=20_000_000, gt=0, description="larger pictures are refused")


class Repository(Config):
    """A public git repository at one commit."""

    url: str = Field(description="where git fetches it from", pattern=r"^(https|file)://[^\s]+$")
    commit: str = Field(description="the commit, 40 hex digits", pattern=r"^[0-9a-f]{40}$")
    published: str = Field(description="address below which its files are published", pattern=r"^https?://[^\s]+/$")


class PicturebooksSource(Source):
    """Picture books built from the repositories of African Storybook and Book Dash."""

    engine: Literal["picturebooks"] = "picturebooks"
    asp_source: Repository
    asp_imagebank: Repository
    bookdash: Repository
    checkouts: str = Field(
        default="",
        description="folder with asp-source, asp-imagebank and bookdash-books, relative to the card's own; empty: git",
    )
    counts: str = Field(
        default="index.csv",
        description="table beside the checkouts with story and upstream_images, for want of the pictures' names",
    )
    languages: tuple[str, ...] = Field(default=("en",), min_length=1, description="of the captions, a row for each")
    left_out: dict[str, tuple[int, ...]] = Field(default={}, description="pictures to leave out, by story")
    only: str = Field(default="", description="list whose column group names the stories to keep; empty: all")
    on_changed: Literal["refuse", "accept"] = Field(
        default="refuse", description="a picture whose bytes are not those of its first acquisition"
    )
    net: NetConfig = NetConfig()


class DebianPackage(Config):
    """A package of a Debian archive."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")
    version: str = Field(description="exact version", pattern=r"^[0-9][0-9A-Za-z.+:~-]*$")
    architecture: str = Field(default="all", pattern=r"^[a-z0-9-]+$")
    sha256: str = Field(description="of the package, as `apt-cache show NAME` prints it", pattern=r"^[0-9a-f]{64}$")


class TuxpaintSource(Source):
    """Stamps of the drawing program Tux Paint: pictures, each with a line of text in many languages."""

    engine: Literal["tuxpaint"] = "tuxpaint"
    package: DebianPackage
    folder: str = Field(default="usr/share/tuxpaint/stamps", description="of the stamps in the package")
    languages: Literal["all"] | tuple[str, ...] = Field(
        default=("en",), description="of the captions, a row for each; all: every one that a stamp has"
    )
    exclude_folders: tuple[str, ...] = Field(default=(), description="folders whose stamps are rows `excluded`")
    size: int = Field(
        default=256, ge=8, le=4096, description="side of the square that an SVG drawing is fitted into, in pixels"
    )


class OpenclipartSource(Source):
    """Clip art of the Open Clip Art Library, captioned by the metadata in its SVG files."""

    engine: Literal["openclipart"] = "openclipart"
    svg: DebianPackage = Field(description="the drawings and their metadata")
    png: DebianPackage | None = Field(default=None, description="take the pictures from this package, drawn already")
    folder: str = Field(default="usr/share/openclipart", description="in the packages; below it are svg and png")
    captions: tuple[Literal["title", "description", "keywords"], ...] = Field(
        default=("title", "description"), min_length=1, description="which of its texts are captions, a row for each"
    )
    series: int = Field(
        default=8, ge=1, description="a title that more drawings than this share names their series, not one of them"
    )
    creator_languages: dict[str, str] = Field(
        default={}, description="of the texts of some creators, whose drawings state another"
    )
    exclude_folders: tuple[str, ...] = Field(default=(), description="folders whose drawings are rows `excluded`")
    size: int = Field(
        default=256, ge=8, le=4096, description="side of the square that a drawing is fitted into, in pixels"
    )
    trim: bool = Field(default=True, description="leave out the empty margins of a drawing's page")


class TranscriptColumns(Config):
    """Names of a transcript's columns; an empty name means that it has no such column."""

    start: str = Field(default="start", description="seconds, or hours:minutes:seconds")
    end: str = Field(default="end", description="likewise")
    text: str = "text"
    speaker: str = "speaker"


class FramesSource(Source):
    """Recordings as video frames, with what was said and when: a folder and a transcript for each."""

    engine: Literal["frames"] = "frames"
    path: str = Field(description="the folder of the recordings, relative to the card's own folder")
    frame_times: Literal["seconds", "milliseconds", "clock", "number"] = Field(
        default="seconds", description="what a frame's name ends in; see engine frames"
    )
    frames_per_second: float = Field(default=1, gt=0, description="of numbered frames")
    first_number: int = Field(default=1, ge=0, description="of numbered frames: the one at the very beginning")
    columns: TranscriptColumns = TranscriptColumns()
    speakers: tuple[str, ...] = Field(default=(), description="whose utterances are captions; empty: everybody's")
    before: float = Field(default=0, ge=0, description="seconds by which the window begins before the utterance")
    after: float = Field(default=0, ge=0, description="seconds by which the window ends after it")
    frames_per_utterance: int = Field(default=1, ge=1, description="at most, a row for each")
    choose: Literal["even", "middle"] = Field(
        default="even", description="frames spread evenly over those of the window, or those next to its middle"
    )


AnySource = Annotated[
    IconifySource
    | UrlListSource
    | FolderSource
    | WebdatasetSource
    | HubSource
    | PicturebooksSource
    | TuxpaintSource
    | OpenclipartSource
    | FramesSource
    | IconSetsSource
    | IconNamesSource,
    Field(discriminator="engine"),
]
