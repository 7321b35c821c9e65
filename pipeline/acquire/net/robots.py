"""The files in which a site says what robots may do: robots.txt (RFC 9309) and tdmrep.json.

Paths are matched by protego. Rules on the use of content (Content-Usage, Content-Signal) have the groups, patterns and
precedence of Allow and Disallow; so they are handed to protego as such, in a robots.txt of their own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.acquire.net.optout import AGENTS, content_signal, content_usage

if TYPE_CHECKING:
    from protego import Protego

ROBOTS_BYTES = 512 * 1024
TDM_RULES = 1_000
TdmRules = tuple[tuple["Protego", bool], ...]


@dataclass(frozen=True, slots=True)
class Robots:
    """A site's robots.txt as it concerns us; without one, everything is allowed."""

    paths: "Protego | None" = None
    usage: "Protego | None" = None
    agents: tuple[str, ...] = AGENTS[:1]

    def allows(self, url: str) -> bool:
        """Tell whether a URL may be fetched."""
        return self.paths is None or all(self.paths.can_fetch(url, agent) for agent in self.agents)

    def reserves(self, url: str) -> bool:
        """Tell whether a rule on the use of content keeps a URL from training."""
        return self.usage is not None and not all(self.usage.can_fetch(url, agent) for agent in self.agents)

    @property
    def delay(self) -> float:
        """Seconds between two requests that the site asks for (Crawl-delay)."""
        delays = [self.paths.crawl_delay(agent) for agent in self.agents] if self.paths else []
        return max((delay for delay in delays if delay), default=0.0)


def read_robots(body: bytes) -> Robots:
    """Return the rules of a robots.txt, of which at most 512 KiB count.

    Groups of img2dataset bind us as well, since it handles what we fetch: where a file names it, both must be allowed.
    """
    from protego import Protego

    text = body[:ROBOTS_BYTES].decode("utf-8-sig", "replace")
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    named = {value.strip().lower() for line in lines for field, value in _field(line) if field == "user-agent"}
    usage = "\n".join(_usage_rule(line) for line in lines)
    return Robots(
        paths=Protego.parse(text),
        usage=Protego.parse(usage) if "disallow:" in usage else None,
        agents=tuple(agent for agent in AGENTS if agent in named) or AGENTS[:1],
    )


def read_tdm_rules(body: bytes) -> "TdmRules":
    """Return the rules of a tdmrep.json: what matches a location, and whether it is reserved. None if malformed."""
    from protego import Protego

    try:
        rules = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    found = []
    for rule in rules[:TDM_RULES] if isinstance(rules, list) else ():
        location = rule.get("location") if isinstance(rule, dict) else None
        if isinstance(location, str) and location.isprintable() and location.strip():
            matcher = Protego.parse(f"User-agent: *\nDisallow: {location}")
            found.append((matcher, str(rule.get("tdm-reservation")) in ("1", "1.0", "True")))
    return tuple(found)


def is_reserved(rules: "TdmRules", url: str) -> bool:
    """Tell whether the first rule of a tdmrep.json that matches a URL reserves it."""
    return next((reserved for matcher, reserved in rules if not matcher.can_fetch(url, "*")), False)


def _field(line: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of a line that has them."""
    name, colon, value = line.partition(":")
    if colon:
        yield name.strip().lower(), value


def _usage_rule(line: str) -> str:
    """Return a line of robots.txt as a rule on use: its group, its path with Allow or Disallow, or no rule of that."""
    for name, value in _field(line):
        if name == "user-agent":
            return line
        if name in ("content-usage", "content-signal") and value.strip():
            first, *rest = value.split(maxsplit=1)
            path, stated = (first, "".join(rest)) if first.startswith("/") else ("/", value)
            refused = content_usage([stated]) if name == "content-usage" else content_signal([stated])
            # Of two equal paths the stricter counts; protego would take the looser, unless the other is longer.
            return f"disallow: {path}*" if refused else f"allow: {path}"
    return "other: rule"
