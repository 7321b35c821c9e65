"""A split of a data set, opened with `datasets`: from a folder or a file, or from the hub at one commit."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.acquire.engines import hub_files
from pipeline.acquire.engines.places import beside_card
from pipeline.acquire.sources import HubSource
from pipeline.config import nearest
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder, IterableDataset

    from pipeline.acquire.card import Card

BATCH = 32  # rows that are in memory at a time
FORMS = frozenset({"arrow", "csv", "imagefolder", "json", "parquet", "webdataset"})
FORM_OF_FILE = {
    ".arrow": "arrow", ".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".tar": "webdataset"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Opened:
    """A split, ready to be read.

    Attributes:
        table: its rows; None where it is made of `shards`.
        shards: its WebDataset tars.
        roots: folders in which its pictures lie, where they are files; the first is its own.
        remote: address below which they lie, where they are read as they come.
    """

    table: "Dataset | IterableDataset | None"
    shards: tuple[Path, ...] = ()
    roots: tuple[Path, ...] = ()
    remote: str = ""


def open_split(card: "Card", source: HubSource, parts: Path) -> Opened:
    """Open a split of a data set for reading.

    Raises:
        ConfigError: it is missing, or of no form that is read.
    """
    hub_files.quiet()
    try:
        if source.revision and source.streaming:
            return _open_remote(source)
        if source.revision:
            folder = hub_files.obtain_snapshot(source.path, source.revision, source.files)
            return _open_local(folder, folder.parents[1], source, parts)
        place = find_local(card, source)
        return _open_local(place, place if place.is_dir() else place.parent, source, parts)
    except hub_files.library_errors() as error:
        raise ConfigError(f"data set {source.path} cannot be opened: {hub_files.error_line(error)}") from None


def find_local(card: "Card", source: HubSource) -> Path:
    """Return the folder or file of a data set on this machine; a relative one lies beside the card.

    Raises:
        ConfigError: it is not there.
    """
    place = beside_card(card, source.path)
    if not place.exists():
        raise ConfigError(f"there is no {place}; a data set of the hub needs a revision: the commit to take")
    return place


def _open_local(place: Path, root: Path, source: HubSource, parts: Path) -> Opened:
    """Open a folder or a file on this machine; `root` is the folder that its files may lie in."""
    from datasets import load_dataset_builder

    cache = parts / "datasets"  # of what `datasets` converts and unpacks: not in the person's own cache
    if (place / "dataset_dict.json").is_file() or (place / "state.json").is_file():
        return Opened(_saved(place, source), roots=(root,))
    if place.is_file():
        form = FORM_OF_FILE.get(place.suffix)
        if form is None:
            raise ConfigError(f"{place}: a data set in one file ends in {', '.join(FORM_OF_FILE)}")
        builder = load_dataset_builder(form, data_files={source.split: str(place)}, cache_dir=str(cache))
    else:
        _check_data_files(place)
        builder = load_dataset_builder(str(place.resolve()), source.config or None, cache_dir=str(cache))
    shards = _check_split(builder, source)
    if _form(builder) == "webdataset":
        return Opened(None, shards=tuple(Path(shard) for shard in shards))
    _bound_memory(builder)
    if source.streaming:
        return Opened(_streamed(builder, source), roots=(root,))
    builder.download_and_prepare()
    return Opened(builder.as_dataset(source.split), roots=(root, cache))


def _open_remote(source: HubSource) -> Opened:
    """Open a data set of the hub without keeping a copy; only tars are fetched, as they have to be read in place."""
    from datasets import load_dataset_builder
    from huggingface_hub import constants, hf_hub_download

    if constants.HF_HUB_OFFLINE or not hub_files.is_hub_reachable(seconds=10):
        raise ConfigError(f"data set {source.path}: the hub is not reachable; without streaming, the cache would do")
    builder = load_dataset_builder(source.path, source.config or None, revision=source.revision)
    base = f"hf://datasets/{source.path}@{source.revision}/"
    shards = _check_split(builder, source)
    if outside := [shard for shard in shards if not shard.startswith(base)]:
        raise ConfigError(f"data set {source.path} names files of others: {outside[0]}")
    if _form(builder) != "webdataset":
        _bound_memory(builder)
        return Opened(_streamed(builder, source), remote=base)
    names = [shard.removeprefix(base) for shard in shards]
    paths = [hf_hub_download(source.path, name, repo_type="dataset", revision=source.revision) for name in names]
    return Opened(None, shards=tuple(map(Path, paths)))


def _bound_memory(builder: "DatasetBuilder") -> None:
    """Have parquet files read piece by piece; otherwise the whole of a file is read ahead."""
    import pyarrow.dataset as pads
    from datasets.packaged_modules.parquet.parquet import ParquetConfig

    if isinstance(builder.config, ParquetConfig):
        builder.config.batch_size = BATCH
        builder.config.fragment_scan_options = pads.ParquetFragmentScanOptions(
            pre_buffer=False, use_buffered_stream=True, buffer_size=1 << 20
        )


def _streamed(builder: "DatasetBuilder", source: HubSource) -> "IterableDataset":
    """Return a split as a stream that decodes nothing: on its way a picture would be decoded, and encoded anew."""
    stream = builder.as_streaming_dataset(source.split)
    return stream if stream.features is None else stream.decode(False)


def _saved(place: Path, source: HubSource) -> "Dataset":
    from datasets import Dataset, load_from_disk

    saved = load_from_disk(str(place))
    if isinstance(saved, Dataset):
        return saved
    if source.split not in saved:
        raise ConfigError(f"{place} has no split {source.split}{nearest(source.split, list(saved))}; {_known(saved)}")
    return saved[source.split]


def _form(builder: "DatasetBuilder") -> str:
    return type(builder).__module__.rpartition(".")[2]


def _check_split(builder: "DatasetBuilder", source: HubSource) -> list[str]:
    """Return the files of the split.

    Raises:
        ConfigError: the data set is of another form, or has no such split.
    """
    if _form(builder) not in FORMS:
        raise ConfigError(
            f"data set {source.path} is of the form {_form(builder)}, read are {', '.join(sorted(FORMS))}"
        )
    splits = {str(split): list(found) for split, found in (builder.config.data_files or {}).items()}
    if source.split not in splits:
        hint = nearest(source.split, list(splits))
        raise ConfigError(f"data set {source.path} has no split {source.split}{hint}; {_known(splits)}")
    return splits[source.split]


def _known(splits: Iterable[str]) -> str:
    return f"it has {', '.join(map(str, splits))}"


def _check_data_files(folder: Path) -> None:
    """Raise if a data set's own description names files elsewhere, so that opening it asks no server for anything.

    Raises:
        ConfigError: it does.
    """
    for path in (folder / "README.md", folder / ".huggingface.yaml"):
        described = _description(path) if path.is_file() else {}
        for name in _strings(described.get("configs")) if isinstance(described, dict) else ():
            if "://" in name or Path(name).is_absolute() or ".." in Path(name).parts:
                raise ConfigError(f"{path} names a file outside the data set: {name}")


def _description(path: Path) -> Any:
    """Return the values of a YAML file, or of the front matter of a Markdown file."""
    import yaml

    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = text.split("---", 2)[1] if text.startswith("---") else ""
    return yaml.safe_load(text)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping | list):
        for entry in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(entry)
    elif isinstance(value, str):
        yield value
