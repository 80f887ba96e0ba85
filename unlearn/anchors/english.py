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

DETERMINERS: Final = _LISTS["determiners"]
PRONOUNS: Final = _LISTS["pronouns"]
PREPOSITIONS: Final = _LISTS["prepositions"]
AUXILIARIES: Final = _LISTS["auxiliaries"]
CONJUNCTIONS: Final = _LISTS["conjunctions"]
ADVERBS: Final = _LISTS["adverbs"]
FUNCTION: Final = DETERMINERS | PRONOUNS | PREPOSITIONS | AUXILIARIES | CONJUNCTIONS | ADVERBS
CALENDAR: Final = _LISTS["calendar"]
EVERYDAY: Final = CALENDAR | _LISTS["everyday"]
SPEECH: Final = _LISTS["speech"]
MET: Final = _LISTS["met"]
INSIDE: Final = _LISTS["inside"]
TOWARDS: Final = _LISTS["towards"]
TEAM_BEFORE: Final = _LISTS["team_before"]
TEAM_AFTER: Final = _LISTS["team_after"]
PLAYED: Final = _LISTS["played"]
PLAY_AFTER: Final = _LISTS["play_after"]
PLAYFUL: Final = PLAY_AFTER | _LISTS["playful"]
BEASTLY: Final = _LISTS["beastly"]
HANDLED: Final = _LISTS["handled"]
THINGLY: Final = _LISTS["thingly"]
PERSONAL_AFTER: Final = _LISTS["personal_after"]
PLACE_LAST: Final = _LISTS["place_last"]
PLACE_FIRST: Final = _LISTS["place_first"]
ALSO_SURNAMES: Final = _LISTS["also_surnames"]
GROUP_LAST: Final = _LISTS["group_last"]
FEMALE_NAMES: Final = _LISTS["female_names"]
MALE_NAMES: Final = _LISTS["male_names"]
ABBREVIATED_TITLES: Final = _LISTS["abbreviated_titles"]
MALE_TITLES: Final = _LISTS["male_titles"]
FEMALE_TITLES: Final = _LISTS["female_titles"]
TITLES: Final = ABBREVIATED_TITLES | MALE_TITLES | FEMALE_TITLES | _LISTS["titles"]
GIVEN_TITLES: Final = _LISTS["given_titles"]
WEAK_TITLES: Final = _LISTS["weak_titles"]
CONNECTORS: Final = _LISTS["connectors"]
HYPHENATED: Final = CONNECTORS | _LISTS["hyphenated"]
REPORTING: Final = _LISTS["reporting"]
QUALIFIERS: Final = _LISTS["qualifiers"]
DEEDS: Final = _LISTS["deeds"]
DIRECTIONS: Final = _LISTS["directions"]
#: Common nouns by what they name.
NOUNS: Final = {
    "person": _LISTS["offices"] | _LISTS["roles"],
    "creature": _LISTS["creatures"],
    "activity": _LISTS["dances_and_games"],
    "place": _LISTS["rooms_and_sites"],
    "object": _LISTS["things"],
}
OFFICES: Final = _LISTS["offices"]
