"""The files of a data set of the Hugging Face hub at one commit, in the hub's own cache; whole, or an error.

The list of a commit's files is kept in ``$ESSEN_CACHE/hub``, so that without a network a cache that lacks some of them
is not taken for the data set.
"""

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.acquire.packages.cache import cache_folder
from pipeline.errors import ConfigError


def obtain_snapshot(name: str, revision: str, patterns: tuple[str, ...] = ()) -> Path:
    """Return the folder of a data set's files, fetched where the cache lacks them.

    Args:
        name: of the data set, ``owner/name``.
        revision: commit, 40 hex digits.
        patterns: of the files that are wanted; empty: all.

    Raises:
        ConfigError: it is not in the cache, and the hub is not reachable or does not have it.
    """
    kept = cached_snapshot(name, revision, patterns)
    if kept is not None:
        return kept
    quiet()
    from huggingface_hub import HfApi, constants, snapshot_download

    what = f"data set {name} at {revision[:12]}"
    if constants.HF_HUB_OFFLINE:
        raise ConfigError(f"{what} is not whole in the cache, and HF_HUB_OFFLINE is set; unset it once to fetch it")
    if not is_hub_reachable(seconds=10):
        raise ConfigError(f"{what} is not in the cache, and {constants.ENDPOINT} is not reachable: connect once")
    try:
        info = HfApi().dataset_info(name, revision=revision, files_metadata=True, timeout=30)
        listed = {sibling.rfilename: sibling.size for sibling in info.siblings or []}
        snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=list(patterns) or None)
    except library_errors() as error:
        raise ConfigError(f"{what} cannot be fetched: {error_line(error)}") from None
    files.write_json(_listing(name, revision), listed)
    found = cached_snapshot(name, revision, patterns)
    if found is None:
        raise ConfigError(f"{what} did not arrive whole; run again")
    return found


def cached_snapshot(name: str, revision: str, patterns: tuple[str, ...] = ()) -> Path | None:
    """Return the folder of a data set's files if the cache holds all of them, None otherwise."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="dataset") / "snapshots" / revision
    if not _listing(name, revision).is_file() or not folder.is_dir():
        return None
    listed: dict[str, Any] = files.read_json(_listing(name, revision))
    wanted = [file for file in listed if not patterns or any(fnmatch(file, pattern) for pattern in patterns)]
    whole = all(_has_size(folder / file, listed[file]) for file in wanted)
    return folder if whole else None


def is_hub_reachable(*, seconds: float) -> bool:
    """Tell whether the hub answers within some seconds."""
    from huggingface_hub import constants

    from pipeline.acquire.net.download import is_reachable

    # The endpoint is the person's own choice (HF_ENDPOINT), so it may be a private one.
    return is_reachable(constants.ENDPOINT, seconds=seconds, allow_private=True)


def quiet() -> None:
    """Switch off what `datasets` and `huggingface_hub` tell others, and their progress bars."""
    import datasets
    import huggingface_hub
    from huggingface_hub.utils.tqdm import disable_progress_bars

    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity_error()


def library_errors() -> tuple[type[Exception], ...]:
    """Return what `datasets` and `huggingface_hub` raise for faults of data, files and networks."""
    import pyarrow as pa
    import yaml
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    # The HTTP library's own base class: which library it is differs between versions of the hub's client.
    network = tuple(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
    return OSError, ValueError, RuntimeError, DatasetsError, pa.ArrowException, yaml.YAMLError, *network


def error_line(error: BaseException) -> str:
    """Return an error's message as one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _listing(name: str, revision: str) -> Path:
    cache = cache_folder("hub")
    return cache / f"{name.replace('/', '--')}-{revision}.json"


def _has_size(file: Path, size: int | None) -> bool:
    return file.is_file() and (size is None or file.stat().st_size == size)
