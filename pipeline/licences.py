"""Licences as far as data needs them: what kind one is, which asks the most, and which shards a sample belongs to.

Not legal advice: the order of the classes says which licence asks more of the one who passes the data on.
"""

import re
from collections.abc import Iterable, Mapping

UNKNOWN = ("NOASSERTION", "NONE", "")

# From free to restrictive; an identifier belongs to the first class whose pattern it matches, in any case of letters.
# ``LicenseRef-…-unversioned`` stands for a licence whose version its source does not state.
CLASSES = (
    ("public domain", r"CC0-.*|CC-PDDC|CC-PDM-.*|PDDL-.*|Unlicense|0BSD|LicenseRef-Public-?Domain"),
    (
        "permissive",
        r"MIT|MIT-(0|CMU|Modern-Variant)|Apache-.*|BSD-[1234]-Clause.*|ISC|Zlib|Unicode-.*|CDLA-Permissive-.*",
    ),
    ("attribution", r"(LicenseRef-)?CC-BY-(\d.*|unversioned)|ODC-By-.*|OFL-.*"),
    (
        "share alike",
        r"(LicenseRef-)?CC-(BY-)?SA-.*|ODbL-.*|CDLA-Sharing-.*|MPL-.*|[AL]?GPL-.*|GFDL-.*|EUPL-.*|LAL-.*",
    ),
    # These two go by the word wherever it stands, so that a licence which is spelt wrongly is not merely unknown.
    ("no derivatives", r"(?!.*(\bNC\b|non-?commercial)).*(\bND\b|no-?deriv).*"),
    ("non-commercial", r".*(\bNC\b|non-?commercial).*"),
    ("unknown", r".*"),
)
PUBLISHABLE = ("public domain", "permissive", "attribution", "share alike")

# The groups that never share a shard, from free to restrictive, with what the names of their shards begin with.
# ``closed`` is material of a source that may not be redistributed, whatever its licence says.
GROUPS: Mapping[str, str] = {
    "open": "",
    "share_alike": "sa-",
    "no_derivatives": "nd-",
    "non_commercial": "nc-",
    "unknown": "unknown-",
    "closed": "closed-",
}
OPEN, CLOSED = "open", "closed"

# fmt: off
HUB = frozenset((
    "0bsd", "agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0",
    "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc0-1.0", "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "odbl",
    "odc-by", "ofl-1.1", "pddl", "unlicense", "zlib",
))
# fmt: on


def licence_class(expression: str) -> str:
    """Return the class of an SPDX expression: that of its most restrictive part, also where it offers a choice."""
    return CLASSES[_rank(expression)][0]


def licence_group(expression: str) -> str:
    """Return which of `GROUPS` a licence belongs to: the free classes together, every other class by itself."""
    kind = licence_class(expression)
    return OPEN if kind in PUBLISHABLE and kind != "share alike" else kind.replace(" ", "_").replace("-", "_")


def strictest_group(groups: Iterable[str]) -> str:
    """Return the most restrictive of some groups.

    Raises:
        ValueError: there is none.
    """
    return max(groups, key=tuple(GROUPS).index)


def most_restrictive(expressions: Iterable[str]) -> str:
    """Return the expression that asks the most; of equal ones the first by name.

    Raises:
        ValueError: there is none.
    """
    return max(sorted(expressions), key=_rank)


def both_apply(first: str, second: str) -> str:
    """Return the SPDX expression of something made of two parts, each under a licence of its own."""
    if first == second:
        return first
    if first in UNKNOWN or second in UNKNOWN:
        return UNKNOWN[0]
    return " AND ".join(sorted(f"({text})" if " OR " in text else text for text in (first, second)))


def hub_licence(expression: str) -> str:
    """Return the identifier by which dataset hubs know a licence; ``other`` where they do not."""
    name = re.sub(r"-(only|or-later)$", "", expression).lower()
    return name if name in HUB else "other"


def _rank(expression: str) -> int:
    # An exception after WITH permits more, never less.
    plain = re.sub(r"\s+WITH\s+[\w.+-]+", "", expression)
    parts = [part for part in re.split(r"\s+(?:AND|OR)\s+|[()]", plain) if part.strip()]
    return max((_part_rank(part.strip()) for part in parts), default=len(CLASSES) - 1)


def _part_rank(part: str) -> int:
    if part in UNKNOWN:
        return len(CLASSES) - 1
    return next(rank for rank, (_, pattern) in enumerate(CLASSES) if re.fullmatch(pattern, part, re.IGNORECASE))
