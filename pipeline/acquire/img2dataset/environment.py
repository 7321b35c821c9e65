"""The environment of img2dataset: its own, since its requirements break current libraries of ours.

It lies in ``<sys.prefix>/img2dataset``; ``$ESSEN_IMG2DATASET`` names another place. A marker, written last, says which
requirements it was made from, so making it again takes no time unless they changed.
"""

import os
import sys
from pathlib import Path

from pipeline import files
from pipeline.acquire.process import Ended, last_line, run_watched
from pipeline.errors import ConfigError

VERSION = "1.47.0"
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
MARKER = "essen.json"
DEADLINE = 1_800.0
WAY_OUT = "run `essen setup` to make it"


def environment_dir() -> Path:
    """Return where the environment lies or would lie."""
    return Path(os.environ.get("ESSEN_IMG2DATASET") or Path(sys.prefix) / "img2dataset")


def environment_python() -> Path:
    """Return the interpreter of the finished environment.

    Raises:
        ConfigError: there is none, or it was made from other requirements.
    """
    folder = environment_dir()
    if not folder.is_dir():
        raise ConfigError(f"img2dataset's own environment is missing ({folder}); {WAY_OUT}")
    if not is_ready(folder):
        raise ConfigError(f"img2dataset's own environment in {folder} is unfinished or out of date; {WAY_OUT}")
    return _python(folder)


def is_ready(folder: Path) -> bool:
    """Tell whether an environment is finished: ours by its marker, a person's own by the right img2dataset in it."""
    marker = folder / MARKER
    if marker.is_file():
        return files.read_json(marker) == _requirements() and _python(folder).exists()
    foreign = "ESSEN_IMG2DATASET" in os.environ and folder == environment_dir()
    return (
        foreign
        and _python(folder).exists()
        and any(folder.glob(f"lib/*/site-packages/img2dataset-{VERSION}.dist-info"))
    )


def ensure_environment() -> Path:
    """Make the environment unless it is there, and return its interpreter; safe to repeat and to interrupt.

    Raises:
        ConfigError: the packages cannot be installed, for example without a network.
    """
    import filelock

    folder = environment_dir()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder.with_name(folder.name + ".lock")):
        if not is_ready(folder):
            _build(folder)
    return _python(folder)


def _build(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").is_file():
        raise ConfigError(f"{folder} is no virtual environment and is not empty; name another in ESSEN_IMG2DATASET")
    files.remove(folder)
    folder.mkdir(parents=True)
    log = folder / "setup.log"
    made = run_watched([sys.executable, "-m", "venv", str(folder)], log=log, cwd=folder, deadline=DEADLINE)
    _check(made, log, "make a virtual environment")
    install = [str(_python(folder)), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    wanted = ["--constraint", str(CONSTRAINTS), f"img2dataset=={VERSION}"]
    installed = run_watched([*install, *wanted], log=log, cwd=folder, deadline=DEADLINE)
    _check(installed, log, f"install img2dataset {VERSION}")
    files.write_json(folder / MARKER, _requirements())


def _check(ended: Ended, log: Path, what: str) -> None:
    if ended.stopped:
        raise ConfigError(f"cannot {what}: it took more than {DEADLINE:.0f} seconds (see {log})")
    if ended.code != 0:
        raise ConfigError(f"cannot {what}: {last_line(log)} (see {log})")


def _requirements() -> dict[str, str]:
    return {
        "img2dataset": VERSION,
        "constraints": files.sha256_file(CONSTRAINTS),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
