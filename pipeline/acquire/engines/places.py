"""Files on this machine that a source names: only what lies inside it is read, whatever links say."""

from collections.abc import Iterable
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.sample import one_line

if TYPE_CHECKING:
    from pipeline.acquire.card import Card


def beside_card(card: "Card", name: str) -> Path:
    """Return the path that a card names, there or not; a relative one lies beside the card."""
    return card.path.parent / Path(name).expanduser()


def folder_availability(folder: Path) -> str:
    """Return why what lies in a folder cannot be had, empty if the folder is there."""
    return "" if folder.is_dir() else f"folder {folder} is missing"


def file_fault(file: Path, root: Path, max_bytes: int) -> tuple[str, str]:
    """Return why a picture is not read, as reason and message, both empty if it is.

    Returns:
        ``outside_folder`` for what does not lie below `root`, also after symbolic links; ``missing_file`` for what is
        no regular file; ``too_large`` for more than `max_bytes`.
    """
    try:
        resolved = file.resolve()
        if not resolved.is_relative_to(root.resolve()):
            return "outside_folder", "it lies outside the folder"
        if not resolved.is_file():
            return "missing_file", "there is no such file"
        size = resolved.stat().st_size
    except OSError as error:
        return "missing_file", error.strerror or "it cannot be read"
    except (ValueError, RuntimeError):  # a zero byte in the name, a loop of links
        return "missing_file", "no file can have this name"
    return ("too_large", f"{size:,} bytes") if size > max_bytes else ("", "")


def content_hashes(places: Iterable[Path], folder: Path) -> dict[str, str]:
    """Return the sha256 of every file at or below some places, by its path seen from `folder`.

    A link that leads out of its place is not followed: its hash is empty.
    """
    found: dict[str, str] = {}
    for place in places:
        root = (place if place.is_dir() else place.parent).resolve()
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file():
                inside = file.resolve().is_relative_to(root)
                found[one_line(Path(relpath(file, folder)).as_posix())] = files.sha256_file(file) if inside else ""
    return found
