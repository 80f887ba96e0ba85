"""Is this text broken? A flag beside the grade: a model that outputs noise must not pass for one that forgot."""

import re
from collections import Counter
from collections.abc import Collection, Iterator

#: Reasons that say that there is no word: such a text is counted apart, not as broken.
EMPTY = ("empty", "no words")

#: Repeated 4-grams covering more than this share of the tokens are a loop.
LOOP_SHARE = 0.5

#: A share of words in no word list above this is noise.
UNKNOWN_SHARE = 0.3

#: Fewer words than this are too few to speak of a share: an answer may be one invented name.
FEWEST_WORDS = 5

#: No word of any language we know of is longer; without spaces, noise is.
LONGEST_WORD = 45

#: The language whose full word list counts; of every other one, the commonest 30,000 words or so: an answer in French is not noise.
LANGUAGE = "en"

_TOKENS = re.compile(r"[^\W_]+(?:['\u2019][^\W\d_]+)*|[^\w\s]|_")

_UNDECODED = re.compile(r"[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f]")

# Scripts without spaces, or whose words hold vowel signs that are no letters (Devanagari to Khmer): too much for a word list here.
_NO_SPACES = re.compile(r"[\u0900-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def degeneracy(completion: str, *, known: Collection[str] = ()) -> str:
    """Why a completion is broken: "empty", "no words", "undecodable bytes", "loop" or "not words"; "" if it is not.

    `known` are further lower-case words that count as words, such as those of the prompt and the lexicon.
    """
    text = completion.strip()
    if not text:
        return "empty"
    if len(_UNDECODED.findall(text.rstrip("\ufffd"))) * 10 > len(text):
        return "undecodable bytes"
    tokens = _tokens(text)
    if not any(character.isalnum() for character in text):
        return "undecodable bytes" if "\ufffd" in text else "no words"
    if _loop_share(tokens) > LOOP_SHARE:
        return "loop"
    spaced = [token for token in tokens if token[0].isalpha() and not _NO_SPACES.match(token)]
    return "not words" if _unknown_share(spaced, known) > UNKNOWN_SHARE else ""


def _tokens(text: str) -> list[str]:
    """Words and marks, lower-case; in scripts without spaces and their like every character is one."""
    found = _TOKENS.findall(text.lower())
    return [part for token in found for part in (token if _NO_SPACES.search(token) else [token])]


def _loop_share(tokens: list[str]) -> float:
    """Share of the tokens that are covered by 4-grams which occur three times or more, each alone or together."""
    grams = [tuple(tokens[i : i + 4]) for i in range(len(tokens) - 3)]
    counts = Counter(grams)
    covered = {place for i, gram in enumerate(grams) if counts[gram] >= 3 for place in range(i, i + 4)}
    return len(covered) / len(tokens) if tokens else 0.0


def _unknown_share(words: list[str], known: Collection[str]) -> float:
    """Share of words in no word list, by the language that fits best."""
    if any(len(word) > LONGEST_WORD for word in words):
        return 1.0
    if len(words) < FEWEST_WORDS:
        return 0.0
    unknown = [word for word in words if word not in known]
    for listed in _word_lists():
        share = sum(not _is_word(word, listed) for word in unknown) / len(words)
        if share <= UNKNOWN_SHARE:
            return share
    return 1.0


def _is_word(word: str, listed: Collection[str]) -> bool:
    word = word.replace("\u2019", "'")
    return word in listed or word.split("'")[0] in listed


def _word_lists() -> Iterator[Collection[str]]:
    """Word lists, one language at a time, each read when it is first asked for (all of them: 2 s and 200 MB)."""
    from wordfreq import available_languages, get_frequency_dict

    yield get_frequency_dict(LANGUAGE, wordlist="best")
    for language in sorted(available_languages("small")):
        if language != LANGUAGE:
            yield get_frequency_dict(language, wordlist="small")
