"""How much a question needs, and how its answer is read: a passage, or the section around it.

    >>> classify("Who signs travel expenses?").profile
    'lookup'
    >>> classify("Why did costs rise, and how do the two suppliers compare?").reasons[0]
    "asks for reasons or connections: 'why'"

The classifier is a handful of rules on the words, each with its reason; no model, and the same
answer every time. What it takes a question for can be overruled by naming the profile.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lineage import Principal
from pipelines.load.search import MAX_LIMIT, check_limit, open_searchable
from pipelines.load.sink import Hit, Searchable

if TYPE_CHECKING:
    from pipelines.config import Config

LOOKUP, ANALYSIS, AUTO = "lookup", "analysis", "auto"
PROFILES = (LOOKUP, ANALYSIS, AUTO)

_LONG = 14
_SHORT = 4
_DEEPER = 4
"""Small chunks looked at for each section wanted, since several may lie in one."""
_MOST_LEVELS = 8

# English, German, French: what asks for connections, and what asks for one fact.
_CONNECT = (
    r"why|how (?:do|does|did|can|could|should|would|is|are|was|were|has|have)|explain|compare[ds]?"
    r"|comparison|contrast|difference[s]?|differ|versus|vs\.?|summari[sz]e|summary|overview|trends?"
    r"|impacts?|effects?|consequences?|implications?|relationship|pros and cons|advantages?"
    r"|disadvantages?|trade-?offs?|reasons?|causes?|evaluate|assess|analy[sz]e|discuss|describe"
    r"|outline|evolve[ds]?|strateg(?:y|ies)"
    r"|warum|wieso|weshalb|inwiefern|erkläre?|vergleiche?|unterschiede?|zusammenfassung|überblick"
    r"|auswirkungen?|gründe|ursachen?|vor- und nachteile"
    r"|pourquoi|expliquer?|expliquez|comparer|comparez|différences?|résumé|aperçu|conséquences?"
)
_FACT = (
    r"who|whom|whose|when|where|which|how (?:many|much|long|old|far|often|big|high|large|tall)"
    r"|what (?:time|date|day|year|number|name|percentage|address|colou?r|version)"
    r"|wer|wem|wen|wann|wo|wie (?:viele?|lange|oft|hoch|alt|groß)|welche[rsmn]?"
    r"|qui|quand|où|combien|quel(?:le)?s?"
)
_ASKS_CONNECTION = re.compile(rf"(?<!\w)(?:{_CONNECT})(?!\w)", re.IGNORECASE)
_ASKS_FACT = re.compile(rf"(?<!\w)(?:{_FACT})(?!\w)", re.IGNORECASE)
_IDENTIFIER = re.compile(r"\S*\d\S*[A-Za-z_\-./]\S*|\S*[A-Za-z_\-./]\S*\d\S*|\S+@\S+|\"[^\"]+\"")
_CLAUSES = re.compile(r"\?|;|(?<!\w)(?:and|or|und|oder|et|ou)(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Classified:
    """What a question was taken for."""

    profile: str
    """`lookup` or `analysis`."""
    score: int
    """Above 0 for analysis."""
    reasons: tuple[str, ...]


def classify(query: str) -> Classified:
    """Whether `query` asks for one fact, or for something to reason over."""
    score, reasons = 0, []
    words = query.split()

    def weigh(points: int, reason: str) -> None:
        nonlocal score
        score += points
        reasons.append(reason)

    if found := _ASKS_CONNECTION.search(query):
        weigh(3, f"asks for reasons or connections: {found[0].lower()!r}")
    if found := _ASKS_FACT.search(query):
        weigh(-2, f"asks for one fact: {found[0].lower()!r}")
    if found := _IDENTIFIER.search(query):
        weigh(-1, f"names something exactly: {found[0]!r}")
    if len(words) >= _LONG:
        weigh(1, f"is long: {len(words)} words")
    elif len(words) <= _SHORT:
        weigh(-1, f"is short: {len(words)} words")
    if len(_CLAUSES.findall(query.rstrip("? "))) > 0:
        weigh(1, "has several parts")
    if not reasons:
        reasons.append("nothing asks for more than a passage")
    return Classified(ANALYSIS if score > 0 else LOOKUP, score, tuple(reasons))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a search with a profile came to."""

    hits: tuple[Hit, ...]
    profile: str
    classified: Classified | None = None
    """Why, when the profile was to be found out."""
    note: str | None = None
    """What to know about it, as when there are no larger chunks to read."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, as `search --profile --json` and the read API give it."""
        return {
            "profile": self.profile,
            "reasons": list(self.classified.reasons) if self.classified else [],
            "note": self.note,
            "hits": [hit.as_dict() for hit in self.hits],
        }


def read(
    config: Config,
    query: str,
    principal: Principal,
    profile: str,
    limit: int = 10,
    sink: str | None = None,
) -> Reading:
    """Search as a profile asks for: `lookup` reads the passages found, `analysis` the sections.

    Passages are found in either case, since small chunks are found best; for analysis the largest
    chunk around each is read in its place, once. A document without larger chunks gives its
    passages. Nothing is read that `principal` may not.

    Raises:
        ConfigError, MissingExtra: as `pipelines.load.search.search`.
    """
    check_limit(limit)
    return read_from(open_searchable(config, sink), query, principal, profile, limit)


def read_from(
    index: Searchable, query: str, principal: Principal, profile: str, limit: int
) -> Reading:
    """`read` from what is open already: the sections, too, are asked for `principal`."""
    classified = classify(query) if profile == AUTO else None
    chosen = classified.profile if classified else profile
    if chosen == LOOKUP:
        return Reading(tuple(index.search(query, principal, limit)), LOOKUP, classified)
    found = index.search(query, principal, min(_DEEPER * limit, MAX_LIMIT))
    hits = _sections(index, found, principal)[:limit]
    passages = {hit.chunk_id for hit in found}
    note = None
    if hits and all(hit.chunk_id in passages for hit in hits):
        note = (
            "there are no larger chunks to read; a policy makes them with several profiles, such "
            "as `use: {chunker: optimal, profile: [lookup, analysis]}`"
        )
    return Reading(tuple(hits), ANALYSIS, classified, note)


def _sections(index: Searchable, found: Sequence[Hit], principal: Principal) -> list[Hit]:
    """For each hit the largest chunk around it, in the order and with the score of its best."""
    top = {hit.chunk_id: hit for hit in found}
    for _ in range(_MOST_LEVELS):
        wanted = {hit.parent_chunk_id for hit in top.values() if hit.parent_chunk_id}
        around = index.fetch(sorted(wanted), principal) if wanted else {}
        higher = {
            key: around[hit.parent_chunk_id]
            for key, hit in top.items()
            if hit.parent_chunk_id in around
        }
        if not higher:
            break
        top |= higher
    seen: dict[str, Hit] = {}
    for hit in found:
        section = top[hit.chunk_id]
        seen.setdefault(section.chunk_id, replace(section, score=hit.score))
    return list(seen.values())
