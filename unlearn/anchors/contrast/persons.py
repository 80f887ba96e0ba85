"""Persons among the names: "Nora Quill", "Nora", "Quill" and "Inspector Quill" are one, and their translations agree."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from unlearn.anchors.contrast.names import Name
from unlearn.anchors.contrast.translations import Form
from unlearn.anchors.english import GIVEN_TITLES, TITLES
from unlearn.anchors.occurrences import Occurrences
from unlearn.anchors.types import gender


def group_persons(
    persons: Iterable[str],
    every_name: Mapping[str, Name],
    seen: Mapping[str, Occurrences],
    gender_by_reading: Callable[[str], str] | None = None,
) -> tuple[dict[str, tuple[Form, ...]], dict[str, tuple[str, ...]]]:
    """Who is who among the names of persons, by all names (the words of a full name may be rare by themselves) and their occurrences.

    Returns:
        What each person goes by, under the main name; and the words of full names that share one with another person's. These words are
        anchors of their own, so that a family's surname is translated alike for all; the full name is left out, as the dictionary would
        prune it.
    """
    names = sorted((every_name[text] for text in persons), key=lambda n: (-len(n.core), -n.count, n.text))
    pairs = {_pair(name) for name in names if len(name.core) > 1}
    users = defaultdict(set)
    for pair in pairs:
        for word in filter(None, pair):
            users[word].add(pair)
    lone = {pair for pair in pairs if all(users[word] == {pair} for word in filter(None, pair))}

    members: dict[str, list[Name]] = defaultdict(list)
    split: dict[str, tuple[str, ...]] = {}
    for name in names:
        if len(name.core) == 1:
            owner = next(iter(users.get(name.core[0], ())), None)
            members[_key(owner) if owner in lone else name.core[0]].append(name)
        elif _pair(name) in lone:
            members[_key(_pair(name))].append(name)
        else:
            split[name.text] = tuple(filter(None, _pair(name)))
    wanted = {word for words in split.values() for word in words}
    members |= {word: members.get(word, []) for word in sorted(wanted)}

    titled = {n.core[0] for n in names if len(n.core) == 1 and len(n.words) > 1 and n.words[0] not in GIVEN_TITLES}
    surnames = {pair[1] for pair in pairs} | titled
    forms = {}
    for key, known in members.items():
        alone = ("" if key in surnames else key, key)
        given, surname = next((_pair(name) for name in known if len(name.core) > 1), alone)
        for word in filter(None, (given, surname)):
            lives = word in wanted or (word in every_name and every_name[word].sure and seen[word].count)
            if lives and word not in {name.text for name in known}:
                known.append(every_name.get(word) or Name(word, (word,), seen[word].count, 0, True))
        known.sort(key=lambda n: (n.text != key, -seen[n.text].count, n.text))
        forms[key] = tuple(_forms(known, given, _given_names(key, known, seen, gender_by_reading)))
    return forms, split


def _pair(name: Name) -> tuple[str, str]:
    """First name, "" where it is but an initial or a title; and surname."""
    core = name.core
    return (core[0] if len(core[0]) > 1 and core[0] not in TITLES else "", core[-1])


def _key(pair: tuple[str, str] | None) -> str:
    return " ".join(filter(None, pair or ()))


def _forms(names: Iterable[Name], given: str, given_names: str) -> Iterable[Form]:
    for name in names:
        if len(name.core) > 1:
            template = f"{{{given_names}}} {{surname}}"
        else:
            template = f"{{{given_names}}}" if name.core[0] == given else "{surname}"
        titles = name.text[: name.text.index(name.core[0], sum(map(len, name.words[: -len(name.core)])))]
        yield Form(name.text, titles + template)


def _given_names(
    key: str, names: Sequence[Name], seen: Mapping[str, Occurrences], by_reading: Callable[[str], str] | None
) -> str:
    """Which list the first name comes from; where nothing tells, what reads better, or either."""
    together = Occurrences()
    for name in names:
        together.add(seen[name.text])
    titled = (gender(name.words, Occurrences()) for name in names if set(name.words) & TITLES)
    told = next((found for found in titled if found), "") or gender(tuple(key.split()), together)
    if not told and by_reading:
        told = by_reading(max(names, key=lambda name: seen[name.text].count).text)
    return told or ("female" if len(key) % 2 else "male")
