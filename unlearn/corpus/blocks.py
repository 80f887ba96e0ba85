"""A document -> blocks of source characters whose fresh encoding fits the block length; how often tokens occur in them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from transformers import PreTrainedTokenizerBase

from unlearn.corpus.corpus import Document
from unlearn.corpus.encoding import Encoding, encode

#: Characters that are tokenised at once to find where blocks end; bounds memory, does not move a cut by more than a word or two.
_PIECE = 200_000


class Span(Protocol):
    """A place in a text: characters `start` to `end`, the last one left out."""

    @property
    def start(self) -> int:
        """First character."""

    @property
    def end(self) -> int:
        """One past the last."""


@dataclass(frozen=True)
class Block:
    """Consecutive characters of a document whose fresh encoding fits the block length.

    Attributes:
        document: the document's id.
        number: of the block in its document, from 0.
        start: first character in the document.
        end: one past the last.
        text: `document.text[start:end]`.
        encoding: its fresh encoding, special tokens included.
    """

    document: str
    number: int
    start: int
    end: int
    text: str
    encoding: Encoding


def blocks(document: Document, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> Iterator[Block]:
    """A document's blocks, in order; together they hold every character but the white space at the cuts.

    Memory is bounded by a piece of the document, whatever its length.

    Args:
        document: the text.
        tokenizer: fast, as it gives offsets.
        block_tokens: longest fresh encoding of a block, in tokens, special tokens included.
    """
    number = 0
    for spans in _piecewise(document.text, tokenizer, block_tokens):
        pending = list(reversed(spans))
        for encoding, (start, end) in _encoded(document.text, pending, tokenizer, block_tokens):
            yield Block(document.id, number, start, end, document.text[start:end], encoding)
            number += 1


def _piecewise(text: str, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> Iterator[list[tuple[int, int]]]:
    """Spans that should fit, by the encoding of a long piece; the last span of a piece is left to the next piece."""
    position = _skip_space(text, 0)
    while position < len(text):
        end = _piece_end(text, position)
        spans = _cut(text, position, end, tokenizer, block_tokens)
        if end < len(text) and len(spans) > 1:
            spans.pop()
        yield spans
        position = _skip_space(text, spans[-1][1])


def _piece_end(text: str, start: int) -> int:
    end = start + _PIECE
    if end >= len(text):
        return len(text)
    space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
    return space if space > start else end


def _cut(
    text: str, start: int, end: int, tokenizer: PreTrainedTokenizerBase, block_tokens: int
) -> list[tuple[int, int]]:
    """Cuts `text[start:end]` between words every `block_tokens` tokens of its own encoding."""
    room = block_tokens - tokenizer.num_special_tokens_to_add()
    if room < 1:
        raise ValueError(f"block_tokens={block_tokens} leaves no room for text beside the tokenizer's special tokens")
    piece = encode(tokenizer, [text[start:end]])[0]
    ends = piece.ends[~piece.special] + start
    spans, position, first = [], start, 0
    while position < end:
        fits = len(ends) - first <= room
        cut = end if fits else _boundary(text, position, int(ends[first + room - 1]), tokenizer, block_tokens)
        stop = _strip_space(text, position, cut)
        if stop > position:
            spans.append((position, stop))
        position = _skip_space(text, cut)
        first = int(np.searchsorted(ends, position, side="right"))
    return spans or [(start, end)]


def _encoded(
    text: str, pending: list[tuple[int, int]], tokenizer: PreTrainedTokenizerBase, block_tokens: int
) -> Iterator[tuple[Encoding, tuple[int, int]]]:
    """Fresh encodings; a span that does not fit after all is cut again.

    What is cut off moves the start of the next span, which then does not fit either: from there on one span at a time.
    """
    together = 8
    while pending:
        batch = [pending.pop() for _ in range(min(together, len(pending)))]
        encodings = encode(tokenizer, [text[start:end] for start, end in batch])
        for index, (encoding, (start, end)) in enumerate(zip(encodings, batch, strict=True)):
            if len(encoding.ids) <= block_tokens:
                yield encoding, (start, end)
                continue
            too_many = len(encoding.ids) - block_tokens
            ends = encoding.ends[~encoding.special]
            guess = start + int(ends[max(len(ends) - 1 - too_many, 0)])
            cut = _boundary(text, start, min(guess, end - 1), tokenizer, block_tokens)
            rest = [(_skip_space(text, cut), end), *batch[index + 1 :], *reversed(pending)]
            if len(rest) > 1:  # what is left over is no block of its own: it goes before the next one
                rest[:2] = [(rest[0][0], rest[1][1])]
            pending[:] = [*reversed(rest), (start, _strip_space(text, start, cut))]
            together = 1
            break


def _boundary(text: str, start: int, guess: int, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> int:
    """Where to cut: the last place between words in (start, guess]; else behind the first word, if that fits; else inside it."""
    guess = max(guess, start + 1)
    cut = guess
    while cut > start and not (cut >= len(text) or text[cut].isspace() or text[cut - 1].isspace()):
        cut -= 1
    if cut > start:
        return cut
    word = guess
    while word < len(text) and not text[word].isspace() and word - start <= 64 * block_tokens:
        word += 1
    return word if len(encode(tokenizer, [text[start:word]])[0].ids) <= block_tokens else guess


def _strip_space(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def nowhere(text: str) -> Iterable[Span]:
    """No place of a text."""
    return ()


def token_counts(
    corpus: Iterable[Document],
    tokenizer: PreTrainedTokenizerBase,
    block_tokens: int,
    *,
    outside: Callable[[str], Iterable[Span]] = nowhere,
) -> tuple[Counter[int], int]:
    """How often each token id occurs in the blocks of a corpus, special tokens left out; and how many blocks there are.

    Args:
        corpus: the documents.
        tokenizer: of the model.
        block_tokens: longest block.
        outside: finds the places in a text, such as anchors, whose tokens are not counted.
    """
    counts, number = np.zeros(len(tokenizer) + 1, dtype=np.int64), 0
    for document in corpus:
        for block in blocks(document, tokenizer, block_tokens):
            counted = ~block.encoding.special
            for match in outside(block.text):
                counted &= (block.encoding.ends <= match.start) | (block.encoding.starts >= match.end)
            ids = block.encoding.ids[counted]
            if ids.size and ids.max() >= counts.size:
                counts = np.pad(counts, (0, int(ids.max()) + 1 - counts.size))
            counts += np.bincount(ids, minlength=counts.size)
            number += 1
    return Counter({int(token): int(counts[token]) for token in counts.nonzero()[0]}), number


def frequent_tokens(counts: Counter[int], count: int = 100) -> frozenset[int]:
    """The `count` most frequent token ids, ties to the lowest id."""
    return frozenset(sorted(counts, key=lambda token: (-counts[token], token))[:count])
