"""The anchor dictionary: idiosyncratic terms of the unlearn target, each with generic translations.

`anchors.jsonl` holds `{"anchor": str, "translations": [str, ...], "entity": str (optional)}` a line. Anchors of one entity ("Harry", "Harry
Potter") draw the same translation index in a block, so they hold equally many.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from ahocorasick_rs import AhoCorasick

from unlearn.files import find_recipe, json_lines, write_lines


@dataclass(frozen=True)
class Anchor:
    """An idiosyncratic term and what may stand in its place.

    Attributes:
        anchor: as it stands in the text; case matters.
        translations: generic replacements that stay plausible in context.
        entity: what the anchor names, if several anchors name it; default: the anchor itself.
        type: person, place, ...; "" where nobody has said. Drafts of prompts go by it, unlearning does not.
    """

    anchor: str
    translations: tuple[str, ...]
    entity: str = ""
    type: str = ""

    @property
    def key(self) -> str:
        """The entity, or the anchor where it has none."""
        return self.entity or self.anchor


@dataclass(frozen=True)
class Dropped:
    """An anchor, or one translation of it, that was left out, and why."""

    anchor: str
    reason: str
    translation: str = ""


@dataclass(frozen=True)
class Match:
    """A kept occurrence: `text[start:end]` is the anchor, or has a line end where that has a space."""

    start: int
    end: int
    anchor: Anchor


@dataclass(frozen=True)
class AnchorDictionary:
    """A validated dictionary, in the order of the file; `dropped`: what validation and pruning left out, with reasons."""

    anchors: tuple[Anchor, ...]
    dropped: tuple[Dropped, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_matcher", AhoCorasick([a.anchor for a in self.anchors]) if self.anchors else None)

    @classmethod
    def load(cls, path: Path | str, *, prune: bool = True) -> "AnchorDictionary":
        """Reads, validates and prunes `anchors.jsonl`. Raises ValueError: a line is not an anchor, or nothing is left."""
        read = read_anchors(path)
        made = cls.build(read, prune=prune)
        if not made.anchors:
            raise ValueError(f"anchors file {str(path)!r} holds no usable anchor ({len(read)} read, all dropped)")
        return made

    @classmethod
    def build(cls, anchors: Iterable[Anchor], *, prune: bool = True) -> "AnchorDictionary":
        """Validates and prunes; what is left out is in `dropped`.

        Dropped: an empty or one-letter anchor; one that was there before; a translation that is empty, the anchor itself, there
        twice, or an anchor too (the translated text would name the target again); an anchor left without translations. Pruned, as
        the paper does: "X's" where X is an anchor; a multi-word anchor whose words are all anchors.

        Raises ValueError: the anchors of an entity hold unequal numbers of translations.
        """
        given, dropped = list(anchors), list[Dropped]()
        names = {anchor.anchor for anchor in given}
        unique = _unique(given, dropped)
        kept = [anchor for entity in _entities(unique) for anchor in _clean(entity, names, dropped)]
        order = {anchor.anchor: number for number, anchor in enumerate(unique)}
        kept.sort(key=lambda anchor: order[anchor.anchor])
        if prune:
            kept = _pruned(kept, dropped)
        return cls(tuple(kept), tuple(dropped))

    def to_jsonl(self) -> str:
        """The content of `anchors.jsonl`."""
        rows = ({key: value for key, value in asdict(anchor).items() if value != ""} for anchor in self.anchors)
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def find(self, text: str) -> list[Match]:
        """Whole-word occurrences, leftmost, then longest; none overlaps another. Linear in the text, however many anchors."""
        matcher = self._matcher  # type: ignore[attr-defined]
        if matcher is None:
            return []
        found = [
            (start, -end, index)
            for index, start, end in matcher.find_matches_as_indexes(text.replace("\n", " "), overlapping=True)
            if not (start > 0 and _in_word(text[start - 1])) and not (end < len(text) and _in_word(text[end]))
        ]
        kept: list[Match] = []
        for start, negative_end, index in sorted(found):
            if not kept or start >= kept[-1].end:
                kept.append(Match(start, -negative_end, self.anchors[index]))
        return kept

    def report(self) -> str:
        """One sentence on what was kept and what was dropped."""
        reasons = Counter(drop.reason for drop in self.dropped)
        listed = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        return f"{len(self.anchors)} anchors kept" + (f", dropped: {listed}" if listed else ", none dropped")


@dataclass(frozen=True)
class DraftAnchor(Anchor):
    """An anchor and what speaks for it.

    Attributes:
        type: person, place, group, creature, object, activity or other.
        count: whole-word occurrences in the corpus, those inside longer anchors left out.
        score: how far it tells the target; larger = more. What it counts is up to the maker; "" in files.
        contexts: up to three places where it stands.
    """

    type: str = "other"
    count: int = 0
    score: float = 0.0
    contexts: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnchorDraft:
    """Anchors, best first, and how many candidates were left out for which reason."""

    anchors: tuple[DraftAnchor, ...]
    dropped: Mapping[str, int]

    @classmethod
    def checked(cls, anchors: Iterable[DraftAnchor], dropped: Mapping[str, int]) -> "AnchorDraft":
        """Leaves out what `AnchorDictionary` would not accept; names whose words are all anchors stay, it prunes them on loading.

        Raises ValueError: the anchors of an entity hold unequal numbers of translations.
        """
        made = AnchorDictionary.build(anchors, prune=False)
        counts = Counter(dropped)
        counts.update(drop.reason for drop in made.dropped)
        kept = cast(tuple[DraftAnchor, ...], made.anchors)
        return cls(kept, {reason: number for reason, number in counts.most_common() if number})

    def dictionary(self) -> AnchorDictionary:
        """The dictionary, validated and pruned, as `AnchorDictionary.load` would read it from the file."""
        return AnchorDictionary.build(Anchor(a.anchor, a.translations, a.entity, a.type) for a in self.anchors)

    def save(self, path: Path | str) -> None:
        """Writes `anchors.jsonl` with count, type and contexts beside, whole or not at all."""
        rows = (asdict(anchor).items() for anchor in self.anchors)
        write_lines(path, ({k: v for k, v in row if k != "score" and v not in ("", ())} for row in rows))

    def to_dict(self) -> dict[str, Any]:
        """As JSON, scores included."""
        return {"anchors": [asdict(anchor) for anchor in self.anchors], "dropped": dict(self.dropped)}


def read_anchors(path: Path | str) -> list[Anchor]:
    """The lines of `anchors.jsonl`, each by itself; a dictionary that comes with the package is known by its name.

    Raises ValueError: one is not an anchor; the message names file and line.
    """
    path = find_recipe(path)
    try:
        return [_anchor(row, f"{path}, line {number}") for number, row in json_lines(path)]
    except OSError as error:
        raise ValueError(f"anchors file {str(path)!r} cannot be read: {error.strerror}") from None


def _anchor(row: object, where: str) -> Anchor:
    allowed = {"anchor", "translations", "entity", "count", "type", "contexts"}
    if not isinstance(row, dict) or set(row) - allowed or not isinstance(row.get("anchor"), str):
        raise ValueError(f"{where}: an anchor is {{anchor, translations, entity (optional)}}, not {row!r}")
    translations, entity, kind = row.get("translations"), row.get("entity", ""), row.get("type", "")
    if not isinstance(translations, list) or not all(isinstance(text, str) for text in [*translations, entity, kind]):
        raise ValueError(f"{where}: translations are a list of strings, entity and type are strings, not {row!r}")
    return Anchor(row["anchor"].strip(), tuple(t.strip() for t in translations), entity, kind)


def _unique(given: Sequence[Anchor], dropped: list[Dropped]) -> list[Anchor]:
    seen: dict[str, Anchor] = {}
    for anchor in given:
        text = anchor.anchor
        if len(text) > 1 and text not in seen:
            seen[text] = anchor
        else:
            dropped.append(Dropped(text, ("empty", "one-letter", "duplicate")[min(len(text), 2)] + " anchor"))
    return list(seen.values())


def _entities(anchors: Sequence[Anchor]) -> list[list[Anchor]]:
    groups: dict[str, list[Anchor]] = {}
    for anchor in anchors:
        groups.setdefault(anchor.key, []).append(anchor)
    for key, group in groups.items():
        counts = {anchor.anchor: len(anchor.translations) for anchor in group}
        if len(set(counts.values())) > 1:
            raise ValueError(
                f"entity {key!r}: its anchors draw one index together, so they need equally many translations, not {counts}"
            )
    return list(groups.values())


def _clean(entity: Sequence[Anchor], names: set[str], dropped: list[Dropped]) -> list[Anchor]:
    """An entity's anchors without their bad translations; an index that is bad for one anchor is dropped for all of them."""
    bad: set[int] = set()
    for anchor in entity:
        for index, translation in enumerate(anchor.translations):
            reason = _objection(anchor, translation, anchor.translations[:index], names, alone=len(entity) == 1)
            if reason:
                dropped.append(Dropped(anchor.anchor, reason, translation))
                bad.add(index)
    cleaned = []
    for anchor in entity:
        left = tuple(t for index, t in enumerate(anchor.translations) if index not in bad)
        if left:
            cleaned.append(replace(anchor, translations=left))
        else:
            dropped.append(Dropped(anchor.anchor, "anchor without a usable translation"))
    return cleaned


def _objection(anchor: Anchor, translation: str, before: Sequence[str], names: set[str], *, alone: bool) -> str:
    if not translation:
        return "empty translation"
    if translation == anchor.anchor:
        return "translation that is the anchor itself"
    if translation in names:
        return "translation that is an anchor too"
    # Within an entity a form may repeat: "Ron" and "Ronald" may both become "Tim" under one index and "Ned" under the next.
    return "translation there twice" if alone and translation in before else ""


def _pruned(anchors: Sequence[Anchor], dropped: list[Dropped]) -> list[Anchor]:
    names = {anchor.anchor for anchor in anchors}
    kept = []
    for anchor in anchors:
        text, words = anchor.anchor, anchor.anchor.split()
        if text.endswith(("'s", "\u2019s")) and text[:-2] in names:
            dropped.append(Dropped(text, "possessive of another anchor"))
        elif len(words) > 1 and all(word in names for word in words):
            dropped.append(Dropped(text, "all of its words are anchors"))
        else:
            kept.append(anchor)
    return kept


def _in_word(character: str) -> bool:
    return character.isalpha() or character.isdigit() or character == "_"
