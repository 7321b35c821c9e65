"""Where pretrained weights lie: a path, a file inside an installed package, or a repository of the hub."""

import importlib.util
from pathlib import Path

import safetensors
import safetensors.torch

from essen.errors import EssenError
from essen.towers.tower import Tower

PACKAGE = "package:"
WANTED = ("*.json", "*.txt", "*.model", "*.safetensors", "pytorch_model.bin")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def find_weights(name: str) -> Path:
    """Return the file or folder that a configuration names.

    Args:
        name: a path, ``package:PACKAGE/FILE``, or ``OWNER/NAME[@REVISION]`` of the Hugging Face hub, which is fetched
            once and kept in the library's cache.

    Raises:
        EssenError: it is not there, or the hub cannot be reached.
    """
    if name.startswith(PACKAGE):
        return _in_package(name)
    path = Path(name).expanduser()
    if path.exists():
        return path
    if path.is_absolute() or name.startswith((".", "~")) or len(path.parts) != 2:
        raise EssenError(f"there are no weights at {name}; give a file, a folder or OWNER/NAME of the hub")
    return _from_hub(name)


def weights_file(path: Path) -> Path:
    """Return the file with the weights: the path itself, or the one of the usual name in that folder.

    Raises:
        EssenError: the folder has none.
    """
    if path.is_file():
        return path
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    raise EssenError(f"{path} holds no weights: there is no {' and no '.join(WEIGHTS)}")


def load_own(tower: Tower, part: str, folder: str) -> Tower:
    """Return a tower of this project's own, filled with that of a trained model.

    Args:
        tower: built by the same keys.
        part: which tower of the model, ``vision`` or ``text``.
        folder: of the model, as `find_weights` takes it.

    Raises:
        EssenError: there is no such model, or its tower is another.
    """
    path = weights_file(find_weights(folder))
    try:
        tensors = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise EssenError(f"{path} cannot be read ({' '.join(str(error).split())[:120]}); train it again") from None
    found = {key.removeprefix(f"{part}."): value for key, value in tensors.items() if key.startswith(f"{part}.")}
    own = tower.state_dict()
    wrong = [key for key in own.keys() | found.keys() if key not in found or key not in own]
    wrong += [key for key in own.keys() & found.keys() if own[key].shape != found[key].shape]
    if wrong:
        raise EssenError(
            f"{path} holds another {part} tower: {len(wrong)} tensors misfit, first {min(wrong)}; give model.{part} "
            "the keys that config.json beside it has"
        )
    tower.load_state_dict(found)
    return tower


def _in_package(name: str) -> Path:
    package, _, inside = name.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / inside).exists():
            return Path(folder) / inside
    raise EssenError(f"{name}: the package {package} is not installed, or holds no {inside}; install it with pip")


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    repository, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(WANTED)))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = " ".join(str(error).split())[:120]
        raise EssenError(
            f"{name} is no path here and cannot be had from the hub ({reason}); name a local folder, or leave weights "
            "empty to start from random ones"
        ) from None
