"""How well words read where an anchor stands, by a causal language model that knows English: both sides of the gap count."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from inspect import signature
from typing import Any, Final, NamedTuple

import numpy as np

from unlearn.anchors.dictionary import Anchor, AnchorDictionary
from unlearn.corpus.corpus import Document

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
