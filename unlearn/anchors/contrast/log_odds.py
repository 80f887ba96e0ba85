"""How much more frequent something is in the unlearn target than elsewhere: in general English, or in a reference text.

Source: log-odds with an informative Dirichlet prior, Monroe, Colaresi & Quinn (2008), "Fightin' Words", equations 15 to 22.
"""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from unlearn.anchors.contrast.names import find_names
from unlearn.anchors.tally import Tally
from unlearn.corpus.corpus import Document

#: Rate that general English gets where wordfreq has no entry (it lists words from 1e-8 on).
_UNLISTED: Final = 1e-9

#: wordfreq as if it were a text of so many words: its rates are then nearly certain beside the target's.
_ENGLISH_WORDS: Final = 1e10

#: Weight of the prior in words where general English is the prior: a page or two, so that small targets keep their contrast.
_PRIOR_WORDS: Final = 1000.0

#: A name of several words is rarer than its rarest word; ten times is a cautious guess, as wordfreq lists no pairs.
_RARER_TOGETHER: Final = 10.0


@dataclass(frozen=True)
class Contrast:
    """How much more frequent something is in the target: log ratio of the odds, over elsewhere, in nats; `z`: in standard deviations."""

    log_ratio: float
    z: float

    @property
    def deviation(self) -> float:
        """Standard deviation of `log_ratio`, in nats."""
        return self.log_ratio / self.z if self.z else math.inf


class GeneralEnglish:
    """The wordfreq package. It knows no capitals, so that names which are words too ("Will", "Rose") get low scores.

    `words`: how many the target holds. `word` gives the contrast of a word that it holds `count` times, in any case; `name` that of a name,
    by its words without titles.
    """

    def __init__(self, words: int) -> None:
        self._words = words

    def word(self, word: str, count: int) -> Contrast:
        """A plural is taken to be at least as common as its singular: rare plurals of common words are ordinary too."""
        singular = _rate(word[:-1]) if word.endswith("s") else 0.0
        return self._contrast(max(_rate(word), singular), count)

    def name(self, text: str, words: Sequence[str], count: int) -> Contrast:
        """By the rarest of its words."""
        parts = [part for word in words for part in word.split("-") if part]
        rate = min((_rate(part.lower()) for part in parts), default=_UNLISTED)
        return self._contrast(rate if len(parts) < 2 else max(rate / _RARER_TOGETHER, _UNLISTED), count)

    def _contrast(self, rate: float, count: int) -> Contrast:
        return log_odds(count, self._words, rate * _ENGLISH_WORDS, _ENGLISH_WORDS, rate * _PRIOR_WORDS, _PRIOR_WORDS)


class ReferenceText:
    """A text of another kind, to be asked as `GeneralEnglish`; the prior is both texts together. Raises ValueError: it holds no words."""

    def __init__(self, reference: Iterable[Document], words: int) -> None:
        self._tally = Tally.of(reference)
        if not self._tally.words:
            raise ValueError("the reference holds no words")
        if self._tally.words < words:
            logging.getLogger("unlearn").warning(
                "the reference (%d words) is shorter than the corpus (%d): what it lacks may be chance, and little will stand out",
                self._tally.words, words,
            )  # fmt: skip
        self._words = words
        self._names = find_names(self._tally, min_count=1)

    def word(self, word: str, count: int) -> Contrast:
        """In any case, as in the target."""
        return self._contrast(count, self._tally.any_case[word])

    def name(self, text: str, words: Sequence[str], count: int) -> Contrast:
        """With its capitals: a reference about roses is none about Rose."""
        known = self._names[text].count if text in self._names else 0
        return self._contrast(count, max(known, self._tally.capital[text]))

    def _contrast(self, count: int, other: int) -> Contrast:
        words, others = self._words, self._tally.words
        return log_odds(count, words, other, others, count + other, words + others)


#: What the target is contrasted with.
Elsewhere = GeneralEnglish | ReferenceText


def log_odds(
    count: float, words: float, other: float, other_words: float, prior: float, prior_words: float
) -> Contrast:
    """Log-odds ratio of a word in two texts, with an informative Dirichlet prior.

    The word stands `count` times among the `words` of the target, and `other` times among `other_words` elsewhere; `prior` are its
    pseudo-occurrences among `prior_words`, more than 0 unless it stands in both texts.
    """
    here, there = count + prior, other + prior
    # The floor is reached where a text holds nothing but the word.
    odds = here / max(words + prior_words - here, 0.5), there / max(other_words + prior_words - there, 0.5)
    ratio = math.log(odds[0]) - math.log(odds[1])
    return Contrast(ratio, ratio / math.sqrt(1 / here + 1 / there))


def _rate(word: str) -> float:
    from wordfreq import word_frequency

    return max(word_frequency(word, "en"), _UNLISTED)
