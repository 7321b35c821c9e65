"""Picture books built from their public repositories: African Storybook and Book Dash, page by page.

The repositories' texts say which picture goes with which text (`engines.asp`, `engines.bookdash`);
the pictures themselves are fetched from their published addresses as a list of URLs is. A story that is not CC-BY, a
translation that does not fit page for page, a picture that also stands in a story under another licence: each is a row
of status ``excluded`` with its reason.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline import files
from pipeline.acquire.engines import asp, bookdash, url_list
from pipeline.acquire.engines.places import beside_card, folder_availability
from pipeline.acquire.engines.story import Pair, decoded
from pipeline.acquire.img2dataset import environment
from pipeline.acquire.lists import check_columns, read_list
from pipeline.acquire.net.download import is_reachable
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.packages.checkouts import cached_checkout, has_git, list_files, obtain_checkout
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import PicturebooksSource, Repository, UrlListSource
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

FOLDERS = {"asp_source": "asp-source", "asp_imagebank": "asp-imagebank", "bookdash": "bookdash-books"}
WANTED = {
    "asp_source": ("/*/*.md",),
    "asp_imagebank": ("/README*.md",),
    "bookdash": ("/*/*/index.md", "/_data/meta*.yml"),
}
MIRROR_LIST = "urls.tsv"


@dataclass(frozen=True, slots=True)
class Checkouts:
    """Where the three repositories lie on this machine."""

    asp_source: Path
    asp_imagebank: Path
    bookdash: Path


def rows(card: "Card", source: PicturebooksSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every picture with a text, and one for every file or picture that is left out.

    Raises:
        ConfigError: a checkout is missing and cannot be fetched, or the table of counts or the mirror's list is wrong.
    """
    listed = islice(build_rows(card, source, find_checkouts(card, source, options)), options.limit)
    mirrored = _mirrored(options.mirror)
    entries = [(row, mirrored[row.url].sha256 if row.url in mirrored else "") for row in listed]
    names = {url: copy.file for url, copy in mirrored.items()}
    shared = {name: getattr(source, name) for name in ("max_pixels", "net", "on_changed")}
    settings = UrlListSource(list=MIRROR_LIST, **shared)
    yield from url_list.pictured(entries, card, settings, options, parts, names=names)


def params(card: "Card", source: PicturebooksSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: the rows before anything is fetched, mirror or not, the tools.

    Raises:
        ConfigError: as for `rows`.
    """
    listed = [asdict(row) for row in build_rows(card, source, find_checkouts(card, source, options))]
    mirrored = {url: asdict(copy) for url, copy in _mirrored(options.mirror).items()}
    digests = {"rows": files.digest(listed), "mirror": files.digest(mirrored)}
    return {**digests, "mirrored": options.mirror is not None, "tools": {"img2dataset": environment.VERSION}}


def availability(card: "Card", source: PicturebooksSource) -> str:
    """Return why the books cannot be had from here, empty if texts are at hand or in reach, and pictures in reach."""
    if not environment.is_ready(environment.environment_dir()):
        return "needs `essen setup`"
    folder = beside_card(card, source.checkouts)
    for key, name in FOLDERS.items():
        if source.checkouts and (missing := folder_availability(folder / name)):
            return missing
        if not source.checkouts and not cached_checkout(name, getattr(source, key)).is_dir() and not has_git():
            return "no git"
    online = is_reachable(f"{source.asp_imagebank.published}README.md", seconds=3, allow_private=False)
    return "" if online else "no network; needs checkouts and --mirror"


def find_checkouts(card: "Card", source: PicturebooksSource, options: AcquireOptions) -> Checkouts:
    """Return the checkouts in a person's own folder where one is named, otherwise those of the card's commits.

    Raises:
        ConfigError: the folder lacks one, or git cannot fetch one.
    """
    folder = _own_folder(card, source, options)
    if folder is None:
        return Checkouts(
            **{key: obtain_checkout(name, getattr(source, key), WANTED[key]) for key, name in FOLDERS.items()}
        )
    for name in FOLDERS.values():
        if not (folder / name).is_dir():
            raise ConfigError(
                f"there is no checkout {folder / name}; put it there, or name no folder to have it fetched"
            )
    return Checkouts(**{key: folder / name for key, name in FOLDERS.items()})


def build_rows(card: "Card", source: PicturebooksSource, checkouts: Checkouts) -> Iterator[RawRow]:
    """Yield the rows in order of stories, African Storybook first, before anything is fetched.

    Raises:
        ConfigError: a table beside the texts cannot be read.
    """
    only = _groups(beside_card(card, source.only)) if source.only else None
    african, closed = _african(source, checkouts)
    for collection in (african, _dash(source, checkouts)):
        for pair in _each_once(collection.pairs):
            reason, message = pair.reason, pair.message
            if not reason:
                story = closed.get(collection.contents.get(pair.picture, ""), "")
                reason, message = _exclusion(pair, story, source.left_out, only)
            published = (collection.pictures if pair.picture else collection.texts).published
            yield _row(card, replace(pair, reason=reason, message=message), published)


@dataclass(frozen=True, slots=True)
class _Collection:
    """The pairs of a publisher, where its files are published, and git's hash of each picture's content by path."""

    pairs: Iterable[Pair]
    texts: Repository
    pictures: Repository
    contents: Mapping[str, str]


def _african(source: PicturebooksSource, checkouts: Checkouts) -> tuple[_Collection, dict[str, str]]:
    """Return African Storybook, and the contents of pictures of stories that are not CC-BY, each with that story."""
    stories = asp.read_stories(checkouts.asp_source, _read_languages(source))
    table = asp.read_table(_text(sorted(checkouts.asp_imagebank.glob("README*.md"))))
    contents = list_files(checkouts.asp_imagebank, "medium/*/*.jpg")
    numbers = asp.pictures_by_story(contents) or _counted(checkouts.asp_imagebank.parent / source.counts)
    closed: dict[str, str] = {}
    licences = asp.not_open(stories, table)
    for path, content in contents.items():
        if (story := path.split("/")[1]) in licences:
            closed.setdefault(content, f"story {story}, which is marked {licences[story]}")
    pairs = asp.pairs(stories, table, numbers, source.languages)
    return _Collection(pairs, source.asp_source, source.asp_imagebank, contents), closed


def _dash(source: PicturebooksSource, checkouts: Checkouts) -> _Collection:
    books = bookdash.read_books(checkouts.bookdash, _read_languages(source))
    meta = bookdash.read_meta(sorted(checkouts.bookdash.glob("_data/meta*.yml")))
    contents = list_files(checkouts.bookdash, f"*/{bookdash.ENGLISH}/images/*")
    pairs = bookdash.pairs(books, meta, contents, source.languages)
    return _Collection(pairs, source.bookdash, source.bookdash, contents)


def _read_languages(source: PicturebooksSource) -> list[str]:
    """Return the languages to read: those wanted, and the English that they are put beside."""
    return list(dict.fromkeys((asp.ENGLISH, *source.languages)))


def _exclusion(
    pair: Pair, closed: str, left_out: Mapping[str, Iterable[int]], only: set[str] | None
) -> tuple[str, str]:
    """Return why a pair that its story allows is left out nevertheless, as reason and message; else two empty texts.

    Args:
        closed: what other story has the picture under another licence; empty where none is known.
    """
    if only is not None and pair.group not in only:
        return "not_listed", "the list of stories does not name it"
    if closed:
        return "also_non_commercial", f"the same picture stands in {closed}"
    if int(Path(pair.picture).stem) in left_out.get(pair.group, ()):
        return "left_out", "the card leaves this picture out"
    return "", ""


def _row(card: "Card", pair: Pair, published: str) -> RawRow:
    return RawRow(
        url=published + quote(pair.picture or pair.file),
        caption=pair.caption,
        status="excluded" if pair.reason else "success",
        reason=pair.reason,
        error_message=pair.message,
        group=pair.group,
        category=pair.kind,
        lang=pair.lang,
        licence=card.spdx(pair.licence) if pair.licence else "NOASSERTION",
        licence_source="source" if pair.licence else "",
        attribution=pair.attribution or card.attribution,
    )


@dataclass(frozen=True, slots=True)
class _Copy:
    """A file of a mirror, and the sha256 that it must have."""

    file: str
    sha256: str


def _mirrored(mirror: Path | None) -> dict[str, _Copy]:
    """Return the copies by URL from the list in a mirror; empty where it has none, so the paths themselves count.

    Raises:
        ConfigError: the list lacks a column.
    """
    if mirror is None or not (path := mirror / MIRROR_LIST).is_file():
        return {}
    table = read_list(path)
    check_columns(path, table, ["url", "file", "sha256"])
    return {row["url"]: _Copy(row["file"], row["sha256"]) for row in table}


def _each_once(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Mark a pair that an earlier one equals: the same picture with the same words as the same kind of text."""
    seen: set[tuple[str, ...]] = set()
    for pair in pairs:
        key = (pair.group, pair.file, pair.picture, pair.kind, pair.caption)
        yield replace(pair, reason="repeated") if key in seen and not pair.reason else pair
        seen.add(key)


def _counted(path: Path) -> dict[str, list[int]]:
    """Return the numbers of each story's pictures from a table of counts, none where there is no such table.

    Raises:
        ConfigError: it lacks a column, or a count is no number.
    """
    if not path.is_file():
        return {}
    table = read_list(path)
    check_columns(path, table, ["story", "upstream_images"])
    counts = {row["story"]: row["upstream_images"] for row in table if row["upstream_images"]}
    if wrong := next((story for story, count in counts.items() if not count.isdecimal()), None):
        raise ConfigError(f"{path}: upstream_images of story {wrong} is {counts[wrong]}, which is no number")
    return {story: list(range(1, int(count) + 1)) for story, count in counts.items()}


def _groups(path: Path) -> set[str]:
    table = read_list(path)
    check_columns(path, table, ["group"])
    return {row["group"] for row in table}


def _text(paths: Iterable[Path]) -> str:
    """Return the text of several files, one after the other.

    Raises:
        ConfigError: one is not in UTF-8.
    """
    try:
        return "\n".join(decoded(path.read_bytes()) for path in paths)
    except UnicodeDecodeError as error:
        raise ConfigError(f"the table of illustrators is not in UTF-8: {error.reason} at byte {error.start}") from None


def _own_folder(card: "Card", source: PicturebooksSource, options: AcquireOptions) -> Path | None:
    """Return the folder of checkouts that the recipe or the card names; None if neither does."""
    if options.list is not None:
        return Path(options.list)
    return beside_card(card, source.checkouts) if source.checkouts else None
