"""What labels may not say: rule 2, by which logits of the baseline are forbidden, or change places; and names of the target."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.corpus.blocks import Block, Encoding
from unlearn.labels.translate import Replacement
from unlearn.settings import Forbid

#: Rule 2 of a block, by position: from it on, pairs of a token id and the one it changes places with, -1: it is forbidden.
Rules = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]


def frequent_tokens(
    blocks: Iterable[Block], count: int = 100, *, outside: AnchorDictionary | None = None
) -> frozenset[int]:
    """The `count` most frequent token ids of blocks, ties to the lowest id; special tokens and those of anchors `outside` left out."""
    counts: Counter[int] = Counter()
    for block in blocks:
        counted = ~block.encoding.special
        for match in outside.find(block.text) if outside else ():
            counted &= ~block.encoding.overlapping(match.start, match.end)
        counts.update(block.encoding.ids[counted].tolist())
    return frozenset(sorted(counts, key=lambda token: (-counts[token], token))[:count])


class ForbiddenIds:
    """First tokens of translations, which rule 2 forbids, or renames, once a translation has been used.

    `frequent`: ids that stay allowed, because they begin much else (" the"); none does by the rule `paper`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, frequent: frozenset[int], rule: Forbid) -> None:
        self._tokenizer, self._frequent, self._rule = tokenizer, frequent, rule
        self._firsts: dict[str, tuple[int | None, int | None]] = {}

    def rules(self, translated: Encoding, replacements: Sequence[Replacement]) -> tuple[Rules, int]:
        """What is forbidden, or renamed, from each translation's first use in a block on, and how many ids or pairs were excepted.

        A translation's first token is forbidden, both after a space and after a newline; or it changes places with its first anchor's. A
        pair of equal ids is none; one with a frequent id is excepted, and so is one with an id of an earlier pair.
        """
        uses = first_uses(translated, replacements)
        anchors = {r.translation: r.match.anchor.anchor for r in reversed(replacements)}
        renames, rules, excepted = self._rule == "rename", [], 0
        new = [name for name in (*uses, *(anchors.values() if renames else ())) if name not in self._firsts]
        self._firsts |= first_tokens(self._tokenizer, new)
        barred = set() if self._rule == "paper" else set(self._frequent)
        done: set[tuple[int, int]] = set()
        for translation in sorted(uses, key=uses.__getitem__):
            partners = self._firsts[anchors[translation]] if renames else (-1, -1)
            kept: list[tuple[int, int]] = []
            for theirs, ours in dict.fromkeys(zip(self._firsts[translation], partners, strict=True)):
                if theirs is None or ours is None or theirs == ours or (theirs, ours) in done:
                    continue
                if {theirs, ours} & barred:
                    excepted += 1
                    continue
                kept.append((theirs, ours))
                if renames:
                    done.add((theirs, ours))
                    barred |= {theirs, ours}
            rules.append((uses[translation], tuple(kept)))
        return tuple(rules), excepted


def first_tokens(tokenizer: PreTrainedTokenizerBase, names: Iterable[str]) -> dict[str, tuple[int | None, int | None]]:
    """The token that begins each name, after a space and after a newline; None where no token does."""
    new = list(dict.fromkeys(names))
    if not new:
        return {}
    texts = [before + name for name in new for before in ("a ", "a\n")]
    found = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    each = (zip(*one, strict=True) for one in zip(found["input_ids"], found["offset_mapping"], strict=True))
    first = [next((token for token, (start, end) in one if start <= 2 < end), None) for one in each]
    return dict(zip(new, zip(first[::2], first[1::2], strict=True), strict=True))


def first_uses(translated: Encoding, replacements: Sequence[Replacement]) -> dict[str, int]:
    """Rule 2: for each translation used, the position of the last token that overlaps its first use in the translated block."""
    uses: dict[str, int] = {}
    first = np.searchsorted(translated.ends, [r.start for r in replacements], side="right").tolist()
    starts, special = translated.starts.tolist(), translated.special.tolist()
    for replacement, token in zip(replacements, first, strict=True):
        if replacement.translation in uses:
            continue
        while token < len(starts) and starts[token] < replacement.end:
            if not special[token]:
                uses[replacement.translation] = token
            token += 1
    return uses


@dataclass(frozen=True)
class Changes:
    """Logits that are forbidden, or change places, at the kept positions of a batch, its blocks' one behind the other.

    Attributes:
        begin: first kept position that an entry holds for, (P,).
        end: one past the last, (P,).
        ids: token ids, (P,).
        partners: the ids that they change places with, or -1 throughout: they are forbidden, (P,).
    """

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    ids: NDArray[np.int64]
    partners: NDArray[np.int64]

    @classmethod
    def of(cls, entries: Sequence[tuple[int, int, int, int]]) -> "Changes":
        """Of entries, each in the order of the attributes."""
        return cls(*np.array(entries, dtype=np.int64).reshape(-1, 4).T)

    def within(self, part: slice) -> "Changes":
        """Of a chunk of the kept positions, counted from its beginning."""
        begin, end = (np.clip(rows, part.start, part.stop) - part.start for rows in (self.begin, self.end))
        held = begin < end
        return Changes(begin[held], end[held], self.ids[held], self.partners[held])

    def apply(self, baseline: Tensor) -> Tensor:
        """On the baseline's logits at these positions, (N, V), gauge applied; in place.

        A forbidden logit becomes its row's mean over the vocabulary, as it was before. In one row no id changes places twice.
        """
        lengths = self.end - self.begin
        rows = np.arange(lengths.sum()) + np.repeat(self.end - np.cumsum(lengths), lengths)
        given = (rows, np.repeat(self.ids, lengths), np.repeat(self.partners, lengths))
        at, ids, partners = (torch.from_numpy(values).to(baseline.device) for values in given)
        if len(rows) and self.partners[0] < 0:
            baseline[at, ids] = baseline.mean(dim=-1)[at]
        else:
            baseline[at, ids], baseline[at, partners] = baseline[at, partners], baseline[at, ids]
        return baseline


def rule_two(batch: Iterable[tuple[NDArray[np.int64], Rules]]) -> Changes:
    """Of blocks' kept positions: how far each of them has read, and the block's rules."""
    entries, offset = list[tuple[int, int, int, int]](), 0
    for prefixes, rules in batch:
        end = offset + len(prefixes)
        for position, pairs in rules:
            begin = offset + int(np.searchsorted(prefixes, position, side="left"))
            entries += [(begin, end, token, partner) for token, partner in pairs]
        offset = end
    return Changes.of(entries)


class TargetNames:
    """Tokens that begin a name of the target (an anchor), and in its text, read once, begin names at least as often as anything else.

    A model that never read the target begins no name of it that the text has not held yet (`forbid_names`).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, anchors: AnchorDictionary, blocks: Iterable[Block]) -> None:
        names = [anchor.anchor for anchor in anchors.anchors]
        self._firsts = {name: [i for i in ids if i is not None] for name, ids in first_tokens(tokenizer, names).items()}
        begins, others = Counter[int](), Counter[int]()
        for block in blocks:
            encoding, outside = block.encoding, ~block.encoding.special
            for match in anchors.find(block.text):
                inside = encoding.overlapping(match.start, match.end)
                begins.update(encoding.ids[inside][:1].tolist())
                outside &= ~inside
            others.update(encoding.ids[outside].tolist())
        every = sorted({token for ids in self._firsts.values() for token in ids})
        self.ids = np.array([token for token in every if begins[token] >= others[token]], dtype=np.int64)
        self._place = {token: place for place, token in enumerate(self.ids.tolist())}

    def at(self, batch: Iterable[tuple[NDArray[np.int64], Encoding, Sequence[Replacement]]]) -> Changes:
        """What is forbidden at the kept source positions of blocks, given each one's encoding and the anchors that were replaced in it.

        A token that begins a name is, until a name that it begins has been read; and so is the next token of a name's first mention.
        """
        entries, offset = list[tuple[int, int, int, int]](), 0
        for kept, encoding, replacements in batch:
            length = len(encoding.ids)
            held_from, own = np.full(len(self.ids), length, dtype=np.int64), np.full(length, -1, dtype=np.int64)
            first_mentions = {r.match.anchor.anchor: r.match for r in reversed(replacements)}
            for name, match in first_mentions.items():
                tokens = np.flatnonzero(encoding.overlapping(match.start, match.end))
                own[tokens[tokens > 0] - 1] = encoding.ids[tokens[tokens > 0]]
                begun = [self._place[i] for i in self._firsts[name] if i in self._place]
                if len(tokens):
                    held_from[begun] = np.minimum(held_from[begun], tokens[-1])
            ends = offset + np.searchsorted(kept, held_from, side="left")
            entries += [(offset, end, token, -1) for end, token in zip(ends.tolist(), self.ids.tolist(), strict=True)]
            said = enumerate(own[kept].tolist(), offset)
            entries += [(row, row + 1, token, -1) for row, token in said if token >= 0]
            offset += len(kept)
        return Changes.of(entries)
