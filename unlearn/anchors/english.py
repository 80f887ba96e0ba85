"""Words of general English that tell what a name or a term is by what stands around it: the lists of `english.toml`, by their names."""

import tomllib
from pathlib import Path
from typing import Final


def word_lists(path: Path) -> dict[str, tuple[str, ...]]:
    """The lists of words of a TOML file, by name, in their order there."""
    return {name: tuple(words.split()) for name, words in tomllib.loads(path.read_text(encoding="utf-8")).items()}


def zipf(word: str) -> float:
    """How common a lower-case word is in general English: log10 of its occurrences in a billion words, 0 if unlisted."""
    from wordfreq import zipf_frequency

    return zipf_frequency(word, "en")


_LISTS: Final = {name: frozenset(words) for name, words in word_lists(Path(__file__).with_suffix(".toml")).items()}


def __getattr__(name: str) -> frozenset[str]:
    """Each list, under its name in capitals."""
    try:
        return _LISTS[name.lower()]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


FUNCTION: Final = frozenset[str]().union(
    *(_LISTS[kind] for kind in ("determiners", "pronouns", "prepositions", "auxiliaries", "conjunctions", "adverbs"))
)
EVERYDAY: Final = _LISTS["calendar"] | _LISTS["everyday"]
PLAYFUL: Final = _LISTS["play_after"] | _LISTS["playful"]
TITLES: Final = _LISTS["abbreviated_titles"] | _LISTS["male_titles"] | _LISTS["female_titles"] | _LISTS["titles"]
HYPHENATED: Final = _LISTS["connectors"] | _LISTS["hyphenated"]
#: Common nouns by what they name.
NOUNS: Final = {
    "person": _LISTS["offices"] | _LISTS["roles"],
    "creature": _LISTS["creatures"],
    "activity": _LISTS["dances_and_games"],
    "place": _LISTS["rooms_and_sites"],
    "object": _LISTS["things"],
}
