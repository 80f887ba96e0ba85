"""What an anchor is: person, place, group, creature, object, activity or other, by simple rules on its words and what stands around it."""

from collections import Counter
from collections.abc import Collection, Sequence, Set
from typing import Final, Literal, get_args

from unlearn.anchors import english
from unlearn.anchors.occurrences import Occurrences

AnchorType = Literal["person", "place", "group", "creature", "object", "activity", "other"]
TYPES: Final[tuple[str, ...]] = get_args(AnchorType)
Gender = Literal["female", "male", ""]

#: Evidence an occurrence must bring on average for a type to be believed.
_ENOUGH: Final = 0.08


def name_type(words: Sequence[str], seen: Occurrences, *, personal: bool = False) -> AnchorType:
    """The type of a name, by its words, titles included, and its occurrences; `personal`: it looks like a first name and a surname."""
    certain = type_by_words(words, seen, personal=personal)
    return certain or _strongest(name_evidence(words, seen, personal=personal), seen.count)


def type_by_words(words: Sequence[str], seen: Occurrences, *, personal: bool = False) -> AnchorType | None:
    """What the words of a name themselves say: a title, a first name, "Street", or behind an article a noun that English knows."""
    told = _by_words(words, personal=personal)
    if told or _share(seen.before, english.DETERMINERS, seen.count) < 0.5:
        return told
    return _by_noun(head_noun(words))


def head_noun(words: Sequence[str]) -> str:
    """The word that says what a name names, in lower case: "queen" of "Queen of Hearts", "hare" of "March Hare"."""
    head = words[words.index("of") - 1] if "of" in words[1:] else words[-1]
    return head.rpartition("-")[2].lower()


def _by_noun(noun: str) -> AnchorType | None:
    forms = {noun, noun.removesuffix("s"), noun[:-3] + "man" if noun.endswith("men") else noun}
    return next((kind for kind, nouns in english.NOUNS.items() if nouns & forms), None)  # type: ignore[misc]


def name_evidence(words: Sequence[str], seen: Occurrences, *, personal: bool = False) -> dict[str, float]:
    """What stands around a name speaks so much for each type, summed over its occurrences."""
    core = [word for word in words if word not in english.TITLES]
    after_the = _share(seen.before, ("the",), seen.count) > 0.5
    evidence = dict.fromkeys(TYPES, 0.0)
    if not after_the:
        evidence["person"] = (
            _sum(seen.after, english.SPEECH, 1.0)
            + _sum(seen.before, english.SPEECH & english.REPORTING, 1.0)
            + _sum(seen.governor, english.MET, 0.6)
            + _sum(seen.after, english.PERSONAL_AFTER, 1.0)
            + 0.3 * sum(number for word, number in seen.after.items() if _is_deed(word))
            + 0.15 * (seen.possessive + seen.male + seen.female)
            + _sum(seen.governor, {"with", "and", "for"}, 0.15)
            + (0.5 * seen.count if core and core[0] in english.FEMALE_NAMES | english.MALE_NAMES else 0.0)
            + (0.35 * seen.count if personal else 0.0)
        )
    evidence["place"] = _sum(seen.governor, english.INSIDE, 1.0) + _sum(seen.governor, english.TOWARDS, 0.35)
    after = _sum(seen.after, english.TEAM_AFTER, 0.4 if after_the else 0.1)
    evidence["group"] = _sum(seen.governor, english.TEAM_BEFORE, 0.8) + after
    evidence.update(_evidence_of_things(seen))
    if after_the and evidence["place"] < seen.count * 0.5 and words[-1].endswith("s"):
        evidence["group"] += 0.4 * seen.count
    return evidence


def term_type(term: str, seen: Occurrences) -> AnchorType:
    """The type of a lower-case term."""
    if told := _by_noun(term):
        return told
    evidence = dict.fromkeys(TYPES, 0.0)
    evidence["place"] = 0.8 * _sum(seen.governor, english.INSIDE, 1.0) + _sum(seen.governor, {"in", "at"}, 0.15)
    evidence["person"] = _sum(seen.after, english.SPEECH, 0.8) + _sum(seen.after, english.PERSONAL_AFTER, 1.0)
    evidence.update(_evidence_of_things(seen))
    found = _strongest(evidence, seen.count)
    if found == "other" and is_noun_like(term, seen) and _share(seen.before, english.DETERMINERS, seen.count) >= 0.5:
        return "object"
    return found


def gender(words: Sequence[str], *, male: int = 0, female: int = 0) -> Gender:
    """Of a person: by title, then by first name, then by how often either pronoun follows; "" where nothing tells."""
    for word in words:
        if word in english.FEMALE_TITLES | english.MALE_TITLES:
            return "female" if word in english.FEMALE_TITLES else "male"
    first = next((word for word in words if word not in english.TITLES), "")
    if first in english.FEMALE_NAMES or first in english.MALE_NAMES:
        return "female" if first in english.FEMALE_NAMES else "male"
    return "" if male == female else "male" if male > female else "female"


def is_noun_like(term: str, seen: Occurrences) -> bool:
    """Whether a lower-case term stands where nouns stand: after articles and prepositions, before small words and stops."""
    if term.endswith("ly") or (term.endswith("ed") and len(term) > 4):
        return False
    led = _share(seen.before, english.DETERMINERS | english.PREPOSITIONS | english.QUALIFIERS, seen.count)
    verbal = _share(seen.before, english.PRONOUNS | english.AUXILIARIES, seen.count)
    closed = sum(n for word, n in seen.after.items() if word in english.FUNCTION or not word or _is_deed(word))
    needed = 0.6 if term.endswith("ing") else 0.3
    return led >= needed and verbal < 0.3 and closed / max(seen.count, 1) >= 0.5


def is_plural(term: str, seen: Occurrences) -> bool:
    """Whether a lower-case term in -s or -men is a plural: nobody says "a" before it."""
    if not term.endswith(("s", "men")) or term.endswith(("ss", "us", "is")):
        return False
    return not _share(seen.before, ("a", "an", "this", "that", "every", "each", "another"), seen.count)


def _by_words(words: Sequence[str], *, personal: bool) -> AnchorType | None:
    """What the words of the name itself say; "Nora Marsh" is a person, "Salt Marsh" a place."""
    parts = [part for word in words for part in word.split("-")]
    if "of" in words:
        parts = list(words[: words.index("of")]) or parts
    titled = words[0] in english.TITLES - english.WEAK_TITLES and len(words) > 1 and words[1][0].isupper()
    if titled and parts[-1] not in english.PLACE_LAST | english.GROUP_LAST:
        return "person"
    if len(words) > 1:
        if personal and parts[-1] in english.ALSO_SURNAMES:
            return "person"
        first = parts[0] in english.PLACE_FIRST and words[0] not in english.TITLES - {"Saint"}
        if first or parts[-1] in english.PLACE_LAST:
            return "place"
        if parts[-1] in english.GROUP_LAST:
            return "group"
        if parts[0] in english.FEMALE_NAMES | english.MALE_NAMES:
            return "person"
    return None


def _evidence_of_things(seen: Occurrences) -> dict[str, float]:
    return {
        "creature": _sum(seen.near, english.BEASTLY, 0.4) + _sum(seen.after, english.BEASTLY, 0.4),
        "object": _sum(seen.governor, english.HANDLED, 0.7) + _sum(seen.near, english.THINGLY, 0.15),
        "activity": _sum(seen.governor, english.PLAYED, 0.7)
        + _sum(seen.after, english.PLAY_AFTER, 0.5)
        + _sum(seen.near, english.PLAYFUL, 0.25),
    }


def _strongest(evidence: dict[str, float], count: int) -> AnchorType:
    best = max(TYPES, key=lambda kind: evidence[kind])
    return best if evidence[best] >= _ENOUGH * max(count, 1) else "other"  # type: ignore[return-value]


def _is_deed(word: str) -> bool:
    """A past tense, by its ending or in the short list of those that English uses most."""
    return (word.endswith("ed") and len(word) > 4) or word in english.DEEDS


def _sum(counts: Counter[str], cues: Set[str], weight: float) -> float:
    return weight * sum(counts[cue] for cue in cues if cue in counts)


def _share(counts: Counter[str], cues: Collection[str], total: int) -> float:
    return sum(counts[cue] for cue in cues if cue in counts) / max(total, 1)
