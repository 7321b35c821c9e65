"""The samples of a run as the page shows them, and which of their pictures it may show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import DataError
from pipeline.report.config import ReportConfig
from pipeline.report.pictures import raw_picture
from pipeline.select.safety import safety_drops, unsafe_images
from pipeline.select.safety_config import SafetyConfig
from pipeline.tables import read_columns, read_table
from pipeline.workspace import Workspace

COLUMNS = ("uid", "image_sha256", "caption", "lang", "corpus", "raw_shard", "raw_offset", "raw_size")
VERDICTS = "selection/verdicts.parquet"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A picture with its caption; `picture` is a ``data:`` address, `note` a word below, `uid` that of the sample."""

    picture: str
    caption: str
    lang: str
    note: str = ""
    uid: str = ""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The samples of a run.

    Attributes:
        run: where they lie.
        columns: of ``signals/samples.parquet``.
        row: of every uid.
        verdicts: rows of ``selection/verdicts.parquet``; empty where nothing has been selected.
        unsafe: hashes of the pictures that safety has dropped under any caption.
    """

    run: Path
    columns: dict[str, list[Any]]
    row: dict[str, int]
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    unsafe: frozenset[str] = frozenset()

    def image(self, uid: str) -> str:
        """Return the hash of a sample's picture."""
        return str(self.columns["image_sha256"][self.row[uid]])

    def may_be_shown(self, uid: str) -> bool:
        """Tell whether a sample's picture may stand on the page."""
        return self.image(uid) not in self.unsafe

    def kept(self) -> list[str]:
        """Return the uids of the samples that were kept; of all where nothing has been selected."""
        return [row["uid"] for row in self.verdicts if row["kept"]] if self.verdicts else list(self.columns["uid"])

    def tile(self, uid: str, config: ReportConfig, note: str = "") -> Tile:
        """Return a sample for the page.

        Raises:
            DataError: its picture may not be shown, or is not where the catalogue says.
        """
        if not self.may_be_shown(uid):
            raise DataError(f"the picture of {uid} was dropped for safety and cannot be shown")
        row = self.row[uid]
        shard, offset, size = (self.columns[name][row] for name in ("raw_shard", "raw_offset", "raw_size"))
        picture = raw_picture(self.run, shard, offset, size, config.thumbnail)
        return Tile(
            picture=picture, caption=self.columns["caption"][row], lang=self.columns["lang"][row], note=note, uid=uid
        )


def read_catalogue(run: Path) -> Catalogue | None:
    """Return the samples of a run, or None where nothing has been measured."""
    if not (run / "signals/samples.parquet").is_file():
        return None
    columns = read_columns(run / "signals/samples.parquet", COLUMNS)
    rows = {uid: row for row, uid in enumerate(columns["uid"])}
    if not (run / VERDICTS).is_file():
        return Catalogue(run=run, columns=columns, row=rows)
    verdicts = read_table(run / VERDICTS).to_pylist()
    return Catalogue(run=run, columns=columns, row=rows, verdicts=verdicts, unsafe=unsafe_images(run))


def evenly_spaced(items: Sequence[T], wanted: int) -> list[T]:
    """Return at most `wanted` of some items, first and last among them, evenly spaced."""
    if wanted >= len(items):
        return list(items)
    if wanted == 1:
        return [items[0]]
    return [items[place * (len(items) - 1) // (wanted - 1)] for place in range(wanted)]


def seen_by_safety(config: SafetyConfig, run: Path, uids: Iterable[str]) -> list[str]:
    """Return those of some samples that safety would let pass.

    What a filter drops is never asked whether it is safe, so it is asked before the page shows it. Where a person's own
    classifiers, lists or face plug-in decide, they are not run again for a page: nothing is shown.
    """
    wanted = list(uids)
    children = config.real_children
    if any((config.classifiers, config.hash_lists, config.word_lists, children.faces, children.photographs)):
        return []
    unsafe = safety_drops(config.model_copy(update={"on_hit": "drop"}), run, wanted, _facts(run)) if wanted else {}
    return [uid for uid in wanted if uid not in unsafe]


def _facts(run: Path) -> Any:
    """Return what the cards said that safety depends on, by corpus."""
    from pipeline.select.real_children import CorpusFacts

    record = Workspace(run).record("select")
    return {name: CorpusFacts(**fact) for name, fact in (record["params"].get("facts", {}) if record else {}).items()}
