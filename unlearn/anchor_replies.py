"""Replies of a language model -> proposals for the anchor dictionary; what cannot be read is counted, never guessed."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unlearn.anchor_types import TYPES
from unlearn.anchors import Anchor, AnchorDictionary

_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"```[\w-]*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Proposal:
    """An anchor with translations, as one reply has it; `type` is "" where the reply names none that we know."""

    anchor: str
    translations: tuple[str, ...]
    type: str = ""


@dataclass(frozen=True)
class ReadReply:
    """A reply that is JSON of the form asked for; `faulty`: entries in it that are not."""

    proposals: tuple[Proposal, ...]
    faulty: int = 0


@dataclass
class Merged:
    """What all replies say of one anchor.

    Attributes:
        translations: how many replies give each.
        types: how many replies give each.
        replies: how many name the anchor.
    """

    translations: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    replies: int = 0

    @property
    def type(self) -> str:
        """The commonest type, the first named of several; "other" where none is."""
        return max(self.types, key=self.types.__getitem__, default="other")

    def ordered(self) -> tuple[str, ...]:
        """Distinct translations, the commonest first, the first named of equally common ones."""
        return tuple(translation for translation, _ in self.translations.most_common())


def read_reply(text: str) -> ReadReply | None:
    """Reads a reply; None if it is not JSON of a form we know.

    Read are a list of {anchor, translations}, an object with such a list, one such object, or an object anchor -> translations; bare,
    in a fence, or with words before and after. A reply that was cut off is none of them.
    """
    text = _THOUGHT.sub("", text).strip()
    fenced = _FENCED.findall(text)
    starts = [at for at in (text.find("["), text.find("{")) if at >= 0]
    attempts = [text, *fenced[-1:]]
    if starts and not fenced:
        first = min(starts)
        attempts.append(text[first : text.rfind("]" if text[first] == "[" else "}") + 1])
    for attempt in attempts:
        try:
            entries = _entries(json.loads(attempt))
        except (ValueError, RecursionError):
            continue
        if entries is not None:
            read = [_proposal(entry) for entry in entries]
            return ReadReply(tuple(p for p in read if p), sum(p is None for p in read))
    return None


def merge(replies: Iterable[tuple[str, ReadReply]], dropped: Counter[str]) -> dict[str, Merged]:
    """Anchor -> what the replies say of it, in the order in which they are named.

    Args:
        replies: passages and what was read for them; their order decides between equals.
        dropped: takes the counts of what was left out.
    """
    merged: dict[str, Merged] = defaultdict(Merged)
    for passage, reply in replies:
        dropped["entry that is not as asked for"] += reply.faulty
        named: set[str] = set()
        for proposal in reply.proposals:
            anchor = _as_written(proposal.anchor, passage)
            if anchor is None:
                dropped["anchor that is not in its passage"] += 1
                continue
            known = merged[anchor]
            known.translations.update(dict.fromkeys(proposal.translations, 1))
            known.types.update([proposal.type] if proposal.type else [])
            known.replies += anchor not in named
            named.add(anchor)
    return dict(merged)


def one_person(merged: Mapping[str, Merged]) -> dict[str, tuple[Anchor, ...]]:
    """Entities among the anchors, cautiously: a full name of two words with its words, all of them persons and nobody else's.

    Their translations are those of the full name that have two words too, taken apart, so that first name, surname and both agree;
    what the replies gave for the parts alone is given up. Fewer than two such translations: no entity.
    """
    people = {anchor for anchor, said in merged.items() if said.type == "person"}
    full = [tuple(anchor.split()) for anchor in people if len(anchor.split()) == 2]
    uses = Counter(word for name in full for word in set(name))
    made: dict[str, tuple[Anchor, ...]] = {}
    for first, last in sorted(full):
        parts = [word for word in (first, last) if word in people]
        if not parts or first == last or uses[first] > 1 or uses[last] > 1:
            continue
        name = f"{first} {last}"
        pairs = [tuple(t.split()) for t in merged[name].ordered() if len(t.split()) == 2]
        if len(pairs) < 2:
            continue
        forms = [Anchor(name, tuple(" ".join(pair) for pair in pairs), name)]
        forms += [Anchor(part, tuple(pair[part == last] for pair in pairs), name) for part in parts]
        made[name] = tuple(forms)
    return made


def _entries(value: Any) -> list[Any] | None:
    if isinstance(value, list):
        return value if all(isinstance(entry, dict) for entry in value) else None
    if not isinstance(value, dict):
        return None
    if "anchor" in value or "translations" in value:
        return [value] if "anchor" in value and "translations" in value else None
    if len(value) == 1:
        (inner,) = value.values()
        if isinstance(inner, list) and all(isinstance(entry, dict) for entry in inner):
            return inner
    return [{"anchor": anchor, "translations": translations} for anchor, translations in value.items()]


def _proposal(entry: dict[str, Any]) -> Proposal | None:
    anchor, translations, kind = entry.get("anchor"), entry.get("translations"), entry.get("type")
    given = [translations] if isinstance(translations, str) else translations
    if not isinstance(anchor, str) or not isinstance(given, list) or not all(isinstance(t, str) for t in given):
        return None
    cleaned = tuple(dict.fromkeys(" ".join(t.split()) for t in given if t.strip()))
    if not anchor.strip() or not cleaned:
        return None
    return Proposal(" ".join(anchor.split()), cleaned, kind if kind in TYPES else "")


def _as_written(anchor: str, passage: str) -> str | None:
    """The anchor as the passage has it, straight and curly apostrophes aside; None if it is no whole word there."""
    for spelling in dict.fromkeys((anchor, anchor.replace("'", "’"), anchor.replace("’", "'"))):
        if AnchorDictionary((Anchor(spelling, ()),)).find(passage):
            return spelling
    return None
