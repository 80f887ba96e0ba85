"""What a baseline, which knows English, says of names and of what may stand in for them, by how well words read in their contexts.

Words are read in a gap, by a causal language model: what comes before and what follows both count.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from inspect import signature
from typing import Any, Final, NamedTuple

import numpy as np

from unlearn.anchors.contrast.entities import named_form
from unlearn.anchors.contrast.names import Name
from unlearn.anchors.contrast.translations import TRANSLATIONS, WORD_LISTS, Draw, Entity, Form, bent
from unlearn.anchors.dictionary import Anchor, AnchorDictionary
from unlearn.anchors.occurrences import Occurrences
from unlearn.anchors.types import TYPES, AnchorType, name_evidence
from unlearn.corpus.corpus import Document
from unlearn.progress import progress_bars

#: What names of a type are a kind of.
_KINDS: Final[dict[AnchorType, tuple[str, ...]]] = {
    "person": ("person", "man", "woman"), "place": ("place", "town", "building"), "group": ("organisation", "family", "club"),
    "creature": ("animal", "creature", "bird"), "object": ("thing", "tool", "food"), "activity": ("game", "dance", "sport"),
}  # fmt: skip

#: Contexts in which a type is tried, those in which every candidate is read, and those in which the best of these are read again.
_TYPED, _READ, _READ_AGAIN = 3, 2, 4

#: Candidates of an entity, and those that are read again.
_CANDIDATES, _BEST = 36, 10

#: Nats that another entity's use of a word counts for, and an occurrence that by the words around it is of a type.
_USED, _CUE = 1.0, 4.0

#: Weight of what a stand-in is worth anywhere, in the choice of a type.
_PRIOR = 0.5

#: Words of a context before and after its gap. What follows settles number, gender and article; what comes before, the scene.
_BEFORE, _AFTER = 40, 8

#: Sequences read at a time.
_BATCH: Final = 32


class Gap(NamedTuple):
    """A context of an anchor without it: some words before and some after, white space made single."""

    before: str
    after: str


class Fit:
    """Log-probabilities of words in gaps, by any causal language model of transformers in evaluation mode and its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer
        # past_key_values up to transformers 5.23. A model that has none, a state-space one say, reads every sequence from its start.
        named = signature(model.forward).parameters
        self._cache = next((name for name in ("cache", "past_key_values") if name in named), "")

    def __call__(self, gap: Gap, words: Sequence[str]) -> np.ndarray:
        """Log-probability in nats of each word with what follows the gap, given what comes before: (len(words),), higher = better."""
        import torch

        rows = [self._tokenizer(gap.before + word + gap.after).input_ids for word in words]
        given = self._tokenizer(gap.before.rstrip()).input_ids
        start = next((n for n, same in enumerate(zip(given, *rows, strict=False)) if len({*same}) > 1), len(given))
        opening = self._tokenizer.bos_token_id or self._tokenizer.eos_token_id or 0
        head = torch.tensor([rows[0][:start] or [opening]], device=self._model.device)
        with torch.inference_mode():
            first = self._model(input_ids=head, use_cache=True) if self._cache else None
            tails = [torch.tensor(row[start:], device=head.device) for row in rows]
            batches = (tails[at : at + _BATCH] for at in range(0, len(tails), _BATCH))
            return np.concatenate([self._tails(head, first, batch) for batch in batches])

    def _tails(self, head: Any, first: Any, tails: Sequence[Any]) -> np.ndarray:
        """Log-probabilities of tails behind what all of them begin with, which was read once: `first`."""
        import torch
        from torch.nn.functional import cross_entropy

        targets = torch.nn.utils.rnn.pad_sequence(list(tails), batch_first=True, padding_value=-100)
        rows = torch.cat([head.expand(len(tails), -1), targets.clamp_min(0)], dim=1)[:, :-1]
        read: dict[str, Any] = {
            "attention_mask": torch.cat([torch.ones_like(head).expand(len(tails), -1), targets.ne(-100)], dim=1)[:, :-1]
        }
        if first is None:
            logits = self._model(input_ids=rows, **read).logits[:, head.shape[1] - 1 :]
        else:
            read[self._cache] = deepcopy(first[self._cache])
            read[self._cache].batch_repeat_interleave(len(tails))
            logits = self._model(input_ids=rows[:, head.shape[1] :], use_cache=True, **read).logits
            logits = torch.cat([first.logits[:, -1:].expand(len(tails), -1, -1), logits], dim=1)
        losses = cross_entropy(logits.float().transpose(1, 2), targets, ignore_index=-100, reduction="none")
        return -losses.sum(1).cpu().numpy()


class Reader:
    """Asks a baseline; the same every time. `texts`: names and terms to be asked about."""

    def __init__(self, fit: Fit, corpus: Iterable[Document], texts: Iterable[str]) -> None:
        self._fit, self._corpus = fit, corpus
        self._gaps = gaps(corpus, texts, most=_READ + _READ_AGAIN)
        self._anything = _PRIOR * self._described("it")

    def kind(self, name: Name, seen: Occurrences, *, personal: bool) -> AnchorType:
        """The type whose stand-ins read best where the name stands, which it is called a kind of, and which the words around it tell."""
        evidence = name_evidence(name.words, seen, personal=personal)
        the = "the " if 2 * seen.before["the"] > seen.count else ""
        words = [_stand_ins(named_form(name, kind, seen)) for kind in _KINDS]
        places = spread(self._gaps[name.text], _TYPED)
        fits = np.mean([self._best(place, words) for place in places], axis=0)
        fits -= _PRIOR * self._best(Gap(f"They spoke of {the}", " for a long time."), words)
        fits += self._described(f"{the}{name.text}") - self._anything
        fits += [_CUE * min(evidence[kind] / max(seen.count, 1), 1.0) for kind in _KINDS]
        return list(_KINDS)[int(np.argmax(fits))]

    def is_name(self, name: Name, kind: AnchorType, seen: Occurrences) -> bool:
        """Whether a name reads better where the word stands than the word does, its capital taken away."""
        words = [name.text.lower(), *_stand_ins(named_form(name, kind, seen))]
        fits = np.mean([self._fit(place, words) for place in self._gaps[name.text]], axis=0)
        return bool(fits[0] < fits[1:].max())

    def gender(self, text: str) -> str:
        """Whose first names read better where a person's name stands."""
        names = [WORD_LISTS[gender][n * 5] for gender in ("female", "male") for n in range(4)]
        fits = np.mean([self._fit(place, names) for place in self._gaps[text]] or [np.zeros(8)], axis=0)
        return "female" if fits[:4].mean() > fits[4:].mean() else "male"

    def translations(
        self, entities: Sequence[Entity], *, seed: int, avoid: Collection[str]
    ) -> dict[str, tuple[str, ...]]:
        """As `generic_translations`, those first that read best in the entity's contexts and are not used yet."""
        draw, made, uses = Draw(seed, {word.lower() for word in avoid}), dict[str, tuple[str, ...]](), Counter[str]()
        places = gaps(
            self._corpus, (form.text for entity in entities for form in entity.forms), most=_READ + _READ_AGAIN
        )
        with progress_bars() as bars:
            for entity in bars.track(entities, description="translations"):
                candidates = draw.candidates(entity, _CANDIDATES)
                chosen = self._chosen(entity, candidates, places, uses)
                uses.update(word for candidate in chosen for word in candidate.values())
                for form in entity.forms:
                    made[form.text] = tuple(bent(form, candidate) for candidate in chosen)
        return made

    def _chosen(
        self, entity: Entity, candidates: list[dict[str, str]], places: Mapping[str, Sequence[Gap]], uses: Counter[str]
    ) -> list[dict[str, str]]:
        forms = [form for form in entity.forms if form.style != "upper"] or list(entity.forms)
        where = list(spread([(form, place) for form in forms for place in places[form.text]], _READ + _READ_AGAIN))
        where = where[::2] + where[1::2]
        fits = np.zeros(len(candidates))
        rest = list(range(len(candidates)))
        for number, (form, place) in enumerate(where):
            if number == _READ:
                rest = sorted(rest, key=lambda n: -fits[n])[:_BEST]
            fits[rest] += self._fit(place, [bent(form, candidates[n]) for n in rest])
        worth = {
            n: fits[n] / max(len(where), 1) - _USED * sum(uses[word] for word in candidates[n].values()) for n in rest
        }
        return [candidates[n] for n in sorted(rest, key=lambda n: (-worth[n], n))[:TRANSLATIONS]]

    def _best(self, place: Gap, words: Sequence[Sequence[str]]) -> np.ndarray:
        """What the best of each group of words is worth in a gap."""
        fits = self._fit(place, [word for group in words for word in group])
        return np.array([part.max() for part in np.split(fits, np.cumsum([len(group) for group in words])[:-1])])

    def _described(self, name: str) -> np.ndarray:
        labels = [label for kinds in _KINDS.values() for label in kinds]
        fits = self._fit(Gap(f"In this story, {name} is a kind of ", "."), labels)
        return fits.reshape(len(_KINDS), -1).max(axis=1)


def _stand_ins(form: Form) -> list[str]:
    """Four of what may stand in for a form, from all over its lists; of a person's either gender."""
    lists = {name: WORD_LISTS[name] for name in form.lists}
    made = [bent(form, {name: words[n * len(words) // 4] for name, words in lists.items()}) for n in range(4)]
    if "female" in lists:
        made += [WORD_LISTS["male"][n] for n in (5, 25)]
    return made


def gaps(corpus: Iterable[Document], terms: Iterable[str], *, most: int) -> Mapping[str, Sequence[Gap]]:
    """Gaps of every term, at most so many of each, spread over the corpus; whole words, leftmost, then longest."""
    matcher = AnchorDictionary(tuple(Anchor(term, ()) for term in terms))
    found: dict[str, list[Gap]] = {anchor.anchor: [] for anchor in matcher.anchors}
    for document in corpus:
        for match in matcher.find(document.text):
            before = " ".join(document.text[max(match.start - 20 * _BEFORE, 0) : match.start].split()[-_BEFORE:])
            if document.text[match.start - 1 : match.start].isspace() and before:
                before += " "
            after = re.sub(r"\s+", " ", document.text[match.end : match.end + 20 * _AFTER])
            found[match.anchor.anchor].append(Gap(before, " ".join(after.split(" ")[: _AFTER + 1])))
    return {term: list(spread(places, most)) for term, places in found.items()}


def spread(things: Sequence[Any], most: int) -> Iterator[Any]:
    """At most so many of them, at equal distances."""
    step = max(len(things) / most, 1)
    return (things[int(n * step)] for n in range(min(len(things), most)))


assert set(_KINDS) == set(TYPES) - {"other"}
