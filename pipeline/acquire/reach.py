"""Which corpora can be had from here now: every card's engine is asked, all at the same time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from pipeline.acquire.acquire import ENGINES
from pipeline.acquire.card import Card
from pipeline.errors import PipelineError

PATIENCE = 4.0
LATE = "no answer in time"


def reach(cards: Sequence[Card], *, patience: float = PATIENCE) -> list[str]:
    """Return for each card why its corpus cannot be had from here, the empty text where it can.

    Args:
        patience: seconds for all of them together; who has not answered by then counts as out of reach.
    """
    pool = ThreadPoolExecutor(max_workers=max(1, min(16, len(cards))))
    asked = [pool.submit(_ask, card) for card in cards]
    answered, _ = wait(asked, timeout=patience)
    pool.shutdown(wait=False, cancel_futures=True)
    return [answer.result() if answer in answered else LATE for answer in asked]


def _ask(card: Card) -> str:
    try:
        return ENGINES[card.source.engine].availability(card, card.source)
    except PipelineError as error:
        return str(error)
