"""Licences as far as a card needs them: which is the most restrictive, and what the hub calls it.

Not legal advice: the order below says which licence asks more of the one who passes the data on.
"""

import re
from collections.abc import Iterable

UNKNOWN = ("NOASSERTION", "NONE", "")

# From free to restrictive; an identifier belongs to the first class whose pattern it matches.
CLASSES = (
    ("public domain", r"CC0-.*|PDDL-.*|Unlicense|0BSD|LicenseRef-PublicDomain"),
    ("permissive", r"MIT.*|Apache-.*|BSD-.*|ISC|Zlib"),
    ("attribution", r"CC-BY-\d.*|ODC-By-.*|OFL-.*"),
    ("share alike", r"CC-BY-SA-.*|ODbL-.*|MPL-.*|LGPL-.*|GPL-.*|AGPL-.*"),
    ("no derivatives", r"CC-BY-ND-.*"),
    ("non-commercial", r"CC-BY-NC.*"),
    ("unknown", r".*"),
)
PUBLISHABLE = ("public domain", "permissive", "attribution", "share alike")

# fmt: off
HUB = frozenset((
    "0bsd", "agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0",
    "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc0-1.0", "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "odbl",
    "odc-by", "ofl-1.1", "pddl", "unlicense", "zlib",
))
# fmt: on


def licence_class(expression: str) -> str:
    """Return the class of an SPDX expression: that of its most restrictive part."""
    return CLASSES[_rank(expression)][0]


def most_restrictive(expressions: Iterable[str]) -> str:
    """Return the expression that asks the most; of equal ones the first by name.

    Raises:
        ValueError: there is none.
    """
    return max(sorted(expressions), key=_rank)


def hub_licence(expression: str) -> str:
    """Return the identifier by which dataset hubs know a licence; ``other`` where they do not."""
    name = re.sub(r"-(only|or-later)$", "", expression).lower()
    return name if name in HUB else "other"


def _rank(expression: str) -> int:
    parts = [part for part in re.split(r"\s+(?:AND|OR|WITH)\s+|[()]", expression) if part.strip()]
    return max((_part_rank(part.strip()) for part in parts), default=len(CLASSES) - 1)


def _part_rank(part: str) -> int:
    if part in UNKNOWN:
        return len(CLASSES) - 1
    return next(rank for rank, (_, pattern) in enumerate(CLASSES) if re.fullmatch(pattern, part))
