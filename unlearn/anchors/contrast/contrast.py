"""Anchors without a language model: names and terms far more frequent in the unlearn target than elsewhere, by contrast.

Elsewhere is general English (the wordfreq package) or a reference text. Each candidate is typed by the words around it and gets generic
words of its type as translations. English is assumed: capitals, articles, titles.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from unlearn.anchors.contrast.entities import Entities
from unlearn.anchors.contrast.log_odds import Elsewhere, GeneralEnglish, ReferenceText
from unlearn.anchors.contrast.names import Name, find_names
from unlearn.anchors.contrast.reader import Fit, Reader
from unlearn.anchors.contrast.translations import Entity, generic_translations
from unlearn.anchors.dictionary import AnchorDraft, DraftAnchor
from unlearn.anchors.english import EVERYDAY, FUNCTION, SPEECH, TITLES, zipf
from unlearn.anchors.occurrences import CONTEXTS, Occurrences, occurrences
from unlearn.anchors.tally import Tally
from unlearn.anchors.types import AnchorType, is_noun_like, name_type, term_type, type_by_words
from unlearn.corpus.corpus import Document
from unlearn.progress import progress_bars

#: A term must be this many times as frequent as in general English, two standard deviations off. Names need no such margin.
_TERM_RATIO: Final = 200.0

#: Standard deviations by which a term must exceed a reference text, and a name anything.
_TERM_Z: Final = 3.0
_NAME_Z: Final = 1.0

#: A word that general English holds must stand here this many times as often as a name must: five times in a small text may be chance.
_TIMES_FOR_ENGLISH: Final = 4

#: Words at least this common (Zipf scale) are no terms, whatever the reference.
_COMMON_ZIPF: Final = 5.0

#: Of two capitalised words, rarer ones than these look like a person's two names.
_FIRST_NAME_ZIPF: Final = 4.5
_SURNAME_ZIPF: Final = 4.1

Seen = Mapping[str, Occurrences]

#: An entity and, by form, its scores.
Scored = tuple[dict[str, float], Entity]


def contrast_anchors(
    corpus: Iterable[Document], *, reference: Iterable[Document] | None = None, top: int = 500, min_count: int = 3, seed: int = 0,
    fit: Fit | None = None,
) -> AnchorDraft:  # fmt: skip
    """Finds a target's names and terms and gives each generic translations of its type.

    Args:
        corpus: the unlearn target; read twice.
        reference: text to contrast with in place of general English, ideally of the same kind (other novels for a novel).
        top: anchors to keep at most, best first; an entity is kept whole or not at all.
        min_count: rarer candidates are left out; parts, plurals and other forms of a kept one may be rarer.
        seed: of the translations.
        fit: of a model that knows English; it decides types and translations by how they read in the target's contexts. None: blindly,
            types by the words around a name, translations by lot.

    Returns:
        Anchors with their contrast in standard deviations as score, entities by their best score. A name that general English or the
        reference knows too has a low score: look at those first.

    Raises ValueError: there is no text, or nothing in it stands out.
    """
    if top < 1 or min_count < 1:
        raise ValueError(f"top and min_count must be at least 1, not {top} and {min_count}")
    tally = Tally.of(corpus)
    if not tally.words:
        raise ValueError("the corpus holds no words")
    dropped: Counter[str] = Counter()
    every = find_names(tally, min_count=min_count)
    elsewhere: Elsewhere = GeneralEnglish(tally.words) if reference is None else ReferenceText(reference, tally.words)
    names = _names(every, elsewhere, min_count, tally, dropped)
    terms = _terms(tally, every, elsewhere, min_count, dropped, reference is None)
    seen = occurrences(corpus, _to_look_for(names, terms, every, tally))
    reader = Reader(fit, corpus, seen) if fit else None
    typed = _typed(names, seen, dropped, reader)
    nouns = _nouns(terms, seen, dropped)
    entities = Entities(typed, nouns, every, seen, tally, reader.gender if reader else None)
    for whole, parts in entities.split.items():
        for part in parts:
            seen[part].count += seen[whole].count
            seen[part].contexts = (seen[part].contexts + seen[whole].contexts)[:CONTEXTS]
    dropped["all of its words are anchors"] += len(entities.split)
    scored = [(_scores(entity, seen, every, elsewhere), entity) for entity in entities]
    chosen = _best(scored, top, dropped)
    if not chosen:
        reasons = [f"{number} {reason}" for reason, number in dropped.items() if number] or ["no names, no rare words"]
        raise ValueError(f"nothing stands out in {tally.words} words (min_count {min_count}): {'; '.join(reasons)}")
    return _draft(chosen, seen, tally, seed, dropped, reader)


def _names(
    every: Mapping[str, Name], elsewhere: Elsewhere, min_count: int, tally: Tally, dropped: Counter[str]
) -> dict[str, Name]:
    """Names that stand out; general English, which knows no capitals, is not asked about "Five" where "said Five" shows a name."""
    kept = {}
    for text, name in every.items():
        heard = tally.speakers[text] and isinstance(elsewhere, GeneralEnglish)
        if name.count < min_count:
            dropped["name below min_count"] += 1
        elif not heard and elsewhere.name(name.text, name.core, name.count).z < _NAME_Z:
            dropped["name no more frequent than elsewhere"] += 1
        else:
            kept[text] = name
    return kept


def _terms(
    tally: Tally, every: Mapping[str, Name], elsewhere: Elsewhere, min_count: int, dropped: Counter[str], english: bool
) -> list[str]:
    """Lower-case words that stand out. Those in contrast below the margin are ordinary and not counted as dropped."""
    kept = []
    for word, count in tally.lower.items():
        if len(word) < 3 or word in FUNCTION or word.capitalize() in TITLES or not word.isalpha():
            continue
        contrast = elsewhere.word(word, tally.any_case[word])
        if english:
            distinct = contrast.log_ratio - 2 * contrast.deviation >= math.log(_TERM_RATIO)
        else:
            distinct = contrast.z >= _TERM_Z and zipf(word) < _COMMON_ZIPF
        if not distinct:
            continue
        if tally.any_case[word] < min_count:
            dropped["term below min_count"] += 1
        elif 2 * tally.fragments[word] >= count:
            dropped["piece of a word broken by dashes"] += 1
        elif english and zipf(word) and tally.any_case[word] < _TIMES_FOR_ENGLISH * min_count:
            dropped["word of general English, too rare here to tell"] += 1
        elif word.capitalize() in every and every[word.capitalize()].middle > 2 * count:
            dropped["term that is a name too"] += 1
        else:
            kept.append(word)
    return kept


def _to_look_for(names: Iterable[str], terms: Iterable[str], every: Mapping[str, Name], tally: Tally) -> Iterable[str]:
    wanted = dict.fromkeys(names)
    wanted |= dict.fromkeys(text for text in every if "-" in text and text.rpartition("-")[2] in wanted)
    wanted |= dict.fromkeys(part for text in names for part in every[text].core if part[0].isupper())
    for text in [*wanted, *terms]:
        wanted[text] = None
        for form in (text.upper(), text.capitalize() if text.islower() else text, text + "s"):
            if " " in form or tally.any_case[form.lower()]:
                wanted[form] = None
    return wanted


def _typed(
    names: Mapping[str, Name], seen: Seen, dropped: Counter[str], reader: Reader | None
) -> dict[str, AnchorType]:
    present = {text: name for text, name in names.items() if seen[text].count}
    dropped["only ever inside longer anchors"] += len(names) - len(present)
    types: dict[str, AnchorType] = {}
    people: set[str] = set()
    in_turn = sorted(present.items(), key=lambda item: len(item[1].core))
    with progress_bars(enabled=reader is not None) as bars:
        for text, name in bars.track(in_turn, description="types"):
            personal = _like_a_full_name(name) or (1 < len(name.core) < 4 and name.core[0] in people)
            if reader and not type_by_words(name.words, seen[text], personal=personal):
                types[text] = reader.kind(name, seen[text], personal=personal)
            else:
                types[text] = name_type(name.words, seen[text], personal=personal)
            people.update(name.core if types[text] == "person" else ())
    kept: dict[str, AnchorType] = {}
    for text, name in present.items():
        kind = types[text]
        if kind == "other" and 1 < len(name.core) < 4 and _shares_a_name(name, people, present, seen):
            kind = "person"
        if _addresses(name, seen[text]):
            dropped["form of address"] += 1
        elif _everyday(name) and not _acts(kind, name, seen[text]):
            dropped["everyday name"] += 1
        elif not name.sure and not (
            reader.is_name(name, kind, seen[text]) if reader else _acts(kind, name, seen[text])
        ):
            dropped["capitals that may only open sentences"] += 1
        else:
            kept[text] = kind
    return kept


def _like_a_full_name(name: Name) -> bool:
    core = name.core
    return 2 <= len(core) <= 3 and zipf(core[0].lower()) < _FIRST_NAME_ZIPF and zipf(core[-1].lower()) < _SURNAME_ZIPF


def _shares_a_name(name: Name, people: set[str], present: Mapping[str, Name], seen: Seen) -> bool:
    """Whether a part is a known person's, or stands alone as people's first names do: "Tibano Blade", "Tibano"."""
    if {name.core[0], name.core[-1]} & people:
        return True
    first = name.core[0]
    led = sum(seen[text].before["the"] for text in (name.text, first) if text in present)
    alone = first in present and present[first].sure and 3 * led < seen[first].count
    return alone and zipf(first.lower()) < _FIRST_NAME_ZIPF


def _everyday(name: Name) -> bool:
    return all(word in EVERYDAY or word.lower() in FUNCTION for word in name.words)


def _addresses(name: Name, seen: Occurrences) -> bool:
    """Whether a word is what people are called by, not who they are: "your Majesty", or a title alone without "the"."""
    if len(name.words) > 1:
        return False
    owned = sum(seen.before[word] for word in ("my", "your", "his", "her", "our", "their"))
    return 2 * owned >= seen.count or (name.words[0] in TITLES and 2 * seen.before["the"] < seen.count)


def _acts(kind: AnchorType, name: Name, seen: Occurrences) -> bool:
    """Whether an ordinary word is surely a person's name here: it has a title, or speaks and owns now and then."""
    speaks = sum(seen.after[verb] + seen.before[verb] for verb in SPEECH) + seen.possessive
    return kind == "person" and (len(name.words) > 1 or 10 * speaks >= seen.count)


def _nouns(terms: Iterable[str], seen: Seen, dropped: Counter[str]) -> dict[str, AnchorType]:
    kept: dict[str, AnchorType] = {}
    for term in terms:
        if not seen[term].count or (zipf(term) > 0 and not is_noun_like(term, seen[term])):
            dropped["term that is no noun"] += 1
        else:
            kept[term] = term_type(term, seen[term])
    return kept


def _scores(entity: Entity, seen: Seen, every: Mapping[str, Name], elsewhere: Elsewhere) -> dict[str, float]:
    scores = {}
    for text in (form.text for form in entity.forms):
        count = max(seen[text].count, 1)
        if text.islower():
            scores[text] = elsewhere.word(text, count).z
        else:
            name = every.get(text) or Name(text, tuple(text.split(" ")), count, 0, False)
            scores[text] = elsewhere.name(text, name.core, max(count, name.count)).z
    return scores


def _best(scored: list[Scored], top: int, dropped: Counter[str]) -> list[Scored]:
    chosen, room = [], top
    for scores, entity in sorted(scored, key=lambda pair: (-max(pair[0].values()), pair[1].key)):
        if len(entity.forms) <= room:
            chosen.append((scores, entity))
            room -= len(entity.forms)
        else:
            dropped["beyond top"] += len(entity.forms)
    return chosen


def _draft(
    chosen: list[Scored], seen: Seen, tally: Tally, seed: int, dropped: Counter[str], reader: Reader | None
) -> AnchorDraft:
    # A generic word that the target uses as a name would bring the target back, or mix two people up.
    taken = {word for word, n in tally.capital.items() if n and 2 * tally.middle[word] > tally.lower[word.lower()]}
    taken |= {word for _, entity in chosen for form in entity.forms for word in form.text.split()}
    translate = reader.translations if reader else generic_translations
    translations = translate([entity for _, entity in chosen], seed=seed, avoid=taken)
    anchors = []
    for scores, entity in chosen:
        name = entity.key if len(entity.forms) > 1 else ""
        for text in (form.text for form in entity.forms):
            known = (entity.type, seen[text].count, round(scores[text], 2), tuple(seen[text].contexts))
            anchors.append(DraftAnchor(text, translations[text], name, *known))
    return AnchorDraft.checked(anchors, dropped)
