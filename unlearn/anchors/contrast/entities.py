"""Names and terms -> entities, each with all its forms: singular and plural, capitalised, shouted.

Of persons, "Nora Quill", "Nora", "Quill" and "Inspector Quill" are one, and their translations agree.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from unlearn.anchors.contrast.names import Name
from unlearn.anchors.contrast.translations import Entity, Form, Style
from unlearn.anchors.english import DETERMINERS, GIVEN_TITLES, GROUP_LAST, OFFICES, PLACE_FIRST, PLACE_LAST, TITLES
from unlearn.anchors.occurrences import Occurrences
from unlearn.anchors.tally import Tally
from unlearn.anchors.types import AnchorType, gender, head_noun, is_noun_like, is_plural

#: Word lists for the types whose names tell no list.
_LIST_OF = {"person": "role", "place": "place_noun", "other": "thing"}


class Entities:
    """Groups names and terms.

    Args:
        names: accepted names with their types.
        terms: accepted lower-case terms with theirs.
        every_name: all names, the rare ones included: parts of an accepted name may be rare by themselves.
        seen: occurrences of all of them and of their plurals, shouted and capitalised forms.
        gender_by_reading: says of a name "female" or "male" where neither title nor pronoun does; None: chance does.
    """

    def __init__(
        self, names: Mapping[str, AnchorType], terms: Mapping[str, AnchorType], every_name: Mapping[str, Name],
        seen: Mapping[str, Occurrences], tally: Tally, gender_by_reading: Callable[[str], str] | None = None,
    ) -> None:  # fmt: skip
        self._names, self._terms, self._every, self._seen, self._tally = names, terms, every_name, seen, tally
        self._gender_by_reading, self._taken = gender_by_reading, set[str]()
        proper = [text for text in self._of("person") if not _follows(seen[text], DETERMINERS)]
        self._persons, self.split = self._group_persons(proper)
        self._common = set(self._of("person")) - set(proper)

    def __iter__(self) -> Iterator[Entity]:
        """Every accepted name and term is a form of one entity, or one of `split`."""
        self._taken = set()
        for key, forms in self._persons.items():
            yield from self._entity(key, "person", forms)
        for key, places in self._places().items():
            yield from self._entity(key, "place", places)
        for text, texts in self._wholes().items():
            kind, plural_of = self._names[text], text[:-1] if text.endswith("s") else ""
            if self._names.get(plural_of) != kind:
                yield from self._entity(
                    text, kind, [named_form(self._every[one], kind, self._seen[one]) for one in texts]
                )
        for term, kind in sorted(self._terms.items(), key=lambda item: (len(item[0]), item[0])):
            yield from self._entity(term, kind, [self._term(term, kind)])

    def _group_persons(self, persons: Iterable[str]) -> tuple[dict[str, tuple[Form, ...]], dict[str, tuple[str, ...]]]:
        """Who is who among the names of persons, by all names (the words of a full name may be rare by themselves) and their occurrences.

        Returns:
            What each person goes by, under the main name; and the words of full names that share one with another person's. These words are
            anchors of their own, so that a family's surname is translated alike for all; the full name is left out, as the dictionary would
            prune it.
        """
        names = sorted((self._every[text] for text in persons), key=lambda n: (-len(n.core), -n.count, n.text))
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
                lives = word in wanted or (word in self._every and self._every[word].sure and self._seen[word].count)
                if lives and word not in {name.text for name in known}:
                    known.append(self._every.get(word) or Name(word, (word,), self._seen[word].count, 0, True))
            known.sort(key=lambda n: (n.text != key, -self._seen[n.text].count, n.text))
            forms[key] = tuple(_forms(known, given, self._given_names(key, known)))
        return forms, split

    def _given_names(self, key: str, names: Sequence[Name]) -> str:
        """Which list the first name comes from; where nothing tells, what reads better, or either."""
        titled = (gender(name.words) for name in names if set(name.words) & TITLES)
        seen = [self._seen[name.text] for name in names]
        male, female = sum(one.male for one in seen), sum(one.female for one in seen)
        told = next((found for found in titled if found), "") or gender(key.split(), male=male, female=female)
        if not told and self._gender_by_reading:
            told = self._gender_by_reading(max(names, key=lambda name: self._seen[name.text].count).text)
        return told or ("female" if len(key) % 2 else "male")

    def _wholes(self) -> dict[str, list[str]]:
        """Names that are no person's own and no place's, each with the longer ones that mean the same: "Rabbit" with "White Rabbit".

        A name of several words stands for its last one, or for the one before "of", if no other name ends so; of names with a hyphen
        ("Frog-Footman") there may be several, and they may be rare.
        """
        names = [text for text, kind in self._names.items() if text in self._common or kind not in ("person", "place")]
        longer: dict[str, list[str]] = defaultdict(list)
        for text in names:
            longer[head_noun(self._every[text].words).capitalize()].append(text)
        same = {head: texts for head, texts in longer.items() if head in texts and len(texts) == 2}
        joined = {
            head: [head, *(t for t in texts if t != head and self._names[t] == self._names[head])]
            for head, texts in same.items()
        }
        groups = {
            text: joined.get(text, [text]) for text in names if not any(text in group[1:] for group in joined.values())
        }
        for text in self._every:
            head = text.rpartition("-")[2]
            if head in groups and head != text not in self._names and self._seen[text].count:
                groups[head].append(text)
        return groups

    def _of(self, kind: AnchorType) -> list[str]:
        return [text for text, found in self._names.items() if found == kind]

    def _places(self) -> dict[str, list[Form]]:
        """A place's forms by its main name; "Port Ansel", "Ansel" and "Ansel Bay" belong together."""
        places = [self._every[text] for text in self._of("place")]
        bare = {name.text for name in places if len(name.words) == 1}
        tails = {name.words[1] for name in places if len(name.words) == 2 and name.words[0] in PLACE_FIRST}
        forms: dict[str, list[Form]] = defaultdict(list)
        for name in sorted(places, key=lambda n: (-n.count, n.text)):
            words, text = name.words, name.text
            key, style, template = text, "", "{place}"
            if len(words) == 2 and words[1] in tails - PLACE_LAST:
                key, template = words[1], f"{words[0]} {{place}}"
            elif len(words) == 2 and words[1] in PLACE_LAST and words[0] in tails | bare:
                key, template = words[0], f"{{place}} {words[1]}"
            elif len(words) > 1 and words[-1] in PLACE_LAST:
                template = f"{{place_modifier}} {words[-1]}"
            elif len(words) > 2 and words[1] == "of":
                template = f"{words[0]} of {{place}}"
            elif _follows(self._seen[text], ("the",)):
                template, style = "{place_noun}", "capital plural" if words[-1].endswith("s") else "capital"
            forms[key].append(Form(text, template, style))  # type: ignore[arg-type]
        for tail in sorted(tails - bare):
            known = self._every.get(tail)
            typed = self._names.get(tail, "other") in ("other", "object")
            if known and known.sure and typed and self._seen[tail].count:
                forms[tail].append(Form(tail, "{place}"))
        return forms

    def _term(self, term: str, kind: AnchorType) -> Form:
        if not is_noun_like(term, self._seen[term]) and term.endswith(("ed", "ing")):
            return Form(term, "{done}" if term.endswith("ed") else "{doing}")
        plural = kind != "activity" and is_plural(term, self._seen[term])
        return Form(term, f"{{{_LIST_OF.get(kind, kind)}}}", "plural" if plural else "")

    def _entity(self, key: str, kind: AnchorType, forms: Iterable[Form]) -> Iterator[Entity]:
        """With the plurals, shouted and capitalised forms that the text holds; nothing if another entity has them all."""
        kept: dict[str, Form] = {}
        for form in forms:
            for variant in (form, *self._variants(form, kind)):
                if variant.text not in self._taken:
                    kept.setdefault(variant.text, variant)
        if kept:
            self._taken.update(kept)
            articles = self._seen[next(iter(kept))].before
            sound = "vowel" if articles["an"] else "consonant" if articles["a"] else ""
            yield Entity(key, kind, tuple(kept.values()), sound)  # type: ignore[arg-type]

    def _variants(self, form: Form, kind: AnchorType) -> Iterator[Form]:
        text, capital = form.text, form.text[0].isupper()
        # "the Zorns", where "Zorn" has always a title
        surname = kind == "person" and form.template.endswith("{surname}")
        single = text.rpartition(" ")[2] if surname else text
        alone = capital and {"creature", "role", "office"} & {*form.lists}  # there is one King; "Kings" are others
        bendable = (
            not alone
            and "plural" not in form.style
            and form.template not in ("{done}", "{doing}")
            and kind != "activity"
        )
        if " " not in single and bendable:
            more = single + "s"
            count = self._seen.get(more, Occurrences()).count
            if 0 < count <= self._seen[text].count and (not capital or self._tally.capital[more]):
                proper = {"female", "male", "surname"} & {*form.lists}
                template = "{surname}" if proper and capital else form.template
                yield Form(more, template, "capital plural" if form.style == "capital" else "plural")
        for variant in (text.upper(),) if capital else (text.capitalize(), text.upper()):
            own = variant == text or variant in self._names
            seen = 0 if own else self._seen.get(variant, Occurrences()).count
            if seen and (not capital or self._tally.lower[text.lower()] < self._seen[text].count):
                capitals: Style = "capital plural" if form.style == "plural" else "capital"
                yield Form(variant, form.template, "upper" if variant.isupper() else capitals)


def named_form(name: Name, kind: AnchorType, seen: Occurrences) -> Form:
    """What stands in for a name of a type: a noun with a capital where the text has an article before it, else a name."""
    text, words, determined = name.text, name.words, _follows(seen, DETERMINERS)
    of = "of" in words[1:-1]
    head = words[words.index("of") - 1] if of else words[-1]
    plural = head.endswith("s") and not head.endswith("ss") and not _follows(seen, ("a", "an"), 0.0)
    style: Style = "capital plural" if plural and determined else "capital"
    if kind == "group":
        last = next((w for w in (words[-1], words[0]) if w in GROUP_LAST and len(words) > 1), "")
        if last:
            return Form(text, f"{{group_modifier}} {last}")
        if not style.endswith("plural"):
            return Form(text, "{group}" if determined else "{group_modifier} {group}")
    if kind in ("creature", "person") and determined:
        noun = "creature" if kind == "creature" else "office" if head.lower() in OFFICES else "role"
        whole = f"{{{noun}}} of {{place}}" if of else f"{{modifier}} {{{noun}}}" if " " in text else f"{{{noun}}}"
        return Form(text, whole, style)
    if kind == "place":
        return Form(text, "{place_noun}", style) if determined else Form(text, "{place}")
    if kind == "person":
        return Form(text, "{female}" if len(words) == 1 else "{female} {surname}")
    if kind == "creature":
        return Form(text, "{pet}")
    if kind == "activity" and determined:
        return Form(text, "{event}", style)
    return Form(text, f"{{{kind}}}" if kind in ("object", "activity") else "{named_thing}", style)


def _follows(seen: Occurrences, words: Iterable[str], share: float = 0.5) -> bool:
    return sum(seen.before[word] for word in words) > share * max(seen.count, 1)


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
