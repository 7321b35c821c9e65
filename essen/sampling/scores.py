"""What samplers read from a matrix of logits: accuracy, loss, and the loss of every single entry.

Rows are pictures, columns are captions, the diagonal holds the pairs. Entries of two rows that share a picture or a
caption are neither right nor wrong and take no part, except on the diagonal.
"""

import numpy as np

from essen.sampling.sampler import Bools, Floats, Logits, Rows


def same_content(rows: Rows, images: Rows, captions: Rows) -> Bools:
    """Return (n, n), True where two of the rows share the picture or the caption; codes (N,) are of all rows."""
    image, caption = images[rows], captions[rows]
    return (image[:, None] == image) | (caption[:, None] == caption)


def in_batch_accuracy(logits: Logits, same: Bools) -> float:
    """Return the share of pictures whose own caption is strictly first, and of captions likewise, averaged.

    A tie is a failure, and so is what is no number: a model that knows nothing must not pass.

    Args:
        logits: (n, n).
        same: (n, n) from `same_content`.
    """
    others = np.where(same, -np.inf, logits)
    own = logits.diagonal()
    return float(((own > others.max(1)).mean() + (own > others.max(0)).mean()) / 2)


def contrastive_loss(logits: Logits, same: Bools) -> float:
    """Return the mean of both directions' InfoNCE; see `in_batch_accuracy` for the arguments."""
    by_row, by_column = _log_shares(logits, same)
    return float(-(by_row.diagonal() + by_column.diagonal()).mean() / 2)


def entry_losses(logits: Logits, same: Bools) -> Floats:
    """Return the cross-entropy (n, n) of every entry, the mean of both directions.

    With p the share of an entry in its softmax: −log p on the diagonal, −log(1 − p) elsewhere, 0 where two rows share
    content. So the sum over a batch splits into pairs of rows, which the softmax loss as a whole does not.
    """
    diagonal = np.eye(len(logits), dtype=np.bool_)
    total = np.zeros(logits.shape, dtype=np.float64)
    for log_share in _log_shares(logits, same):
        # log(1 − e^x) without loss of digits; the bound keeps an entry that is all of its softmax finite.
        rest = np.log(-np.expm1(np.minimum(log_share, -1e-12)))
        total -= np.where(diagonal, log_share, np.where(same, 0.0, rest)) / 2
    return total


def _log_shares(logits: Logits, same: Bools) -> tuple[Floats, Floats]:
    """Return the logarithm of every entry's share (n, n) in its row and in its column."""
    taking_part = ~same | np.eye(len(logits), dtype=np.bool_)
    values = np.where(taking_part, logits.astype(np.float64), -np.inf)
    return _log_softmax(values, 1), _log_softmax(values, 0)


def _log_softmax(values: Floats, axis: int) -> Floats:
    shifted = values - values.max(axis, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
    return result
