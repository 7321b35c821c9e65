"""How well pictures and captions fit: of every corpus the pairs at either end, as the alignment head scores them."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.report.catalogue import Catalogue, Tile
from pipeline.report.config import ReportConfig
from pipeline.tables import read_columns


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A corpus: how many of its kept samples have a score, the median, and the pairs at either end."""

    corpus: str
    scored: int
    median: float
    best: list[Tile]
    worst: list[Tile]


def read_fits(config: ReportConfig, run: Path, catalogue: Catalogue | None) -> list[Fit]:
    """Return the best and the worst pairs among the kept samples of every corpus; none where nothing is scored."""
    path = run / "signals/alignment.parquet"
    if catalogue is None or not path.is_file():
        return []
    columns = read_columns(path, ["uid", "score"])
    scores = dict(zip(columns["uid"], columns["score"], strict=True))
    corpora: dict[str, list[tuple[float, str]]] = {}
    for uid in catalogue.kept():
        if scores.get(uid) is not None:
            corpora.setdefault(catalogue.columns["corpus"][catalogue.row[uid]], []).append((scores[uid], uid))
    return [_fit(config, catalogue, corpus, sorted(corpora[corpus])) for corpus in sorted(corpora)]


def _fit(config: ReportConfig, catalogue: Catalogue, corpus: str, scored: list[tuple[float, str]]) -> Fit:
    from statistics import median

    shown, seen = [], set()
    for score, uid in scored:
        if catalogue.may_be_shown(uid) and catalogue.image(uid) not in seen:
            seen.add(catalogue.image(uid))
            shown.append((score, uid))
    few = min(config.fits, len(shown) // 2)

    def tiles(chosen: list[tuple[float, str]]) -> list[Tile]:
        return [catalogue.tile(uid, config, note=f"{score:.2f}".replace("-", "−")) for score, uid in chosen]

    return Fit(
        corpus=corpus,
        scored=len(scored),
        median=median(score for score, _ in scored),
        best=tiles(shown[len(shown) - few :][::-1]),
        worst=tiles(shown[:few]),
    )
