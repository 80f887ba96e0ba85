"""Source block -> translated block, and which positions of the two correspond."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unlearn.anchors.dictionary import AnchorDictionary, Match
from unlearn.corpus.encoding import Encoding
from unlearn.settings import Repeats


@dataclass(frozen=True)
class Replacement:
    """One anchor of a block in both texts; `source[match.start:match.end]` became `translated[start:end]`."""

    match: Match
    translation: str
    start: int
    end: int


@dataclass(frozen=True)
class Translated:
    """A translated block: the text with every anchor replaced by its translation, and the replacements in reading order."""

    text: str
    replacements: tuple[Replacement, ...]


def draw(seed: int, document: str, block: int, entity: str, count: int) -> int:
    """The translation index of an entity in a block: 0 <= index < count, from nothing but the arguments."""
    digest = hashlib.sha256(f"{seed}\x1f{document}\x1f{block}\x1f{entity}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % count


def translate(
    text: str, anchors: AnchorDictionary, *, seed: int, document: str, block: int, reading: int = 0
) -> Translated:
    """Replaces every anchor of a block; each entity by one of its translations throughout the block, as `draw` draws it.

    `reading`: from 0; each takes the next translation after the last one's, and the first after the last.
    """
    pieces: list[str] = []
    replacements: list[Replacement] = []
    position = length = 0
    for match in anchors.find(text):
        between = text[position : match.start]
        options = match.anchor.translations
        translation = options[(draw(seed, document, block, match.anchor.key, len(options)) + reading) % len(options)]
        start = length + len(between)
        replacements.append(Replacement(match, translation, start, start + len(translation)))
        pieces += (between, translation)
        position, length = match.end, start + len(translation)
    return Translated("".join([*pieces, text[position:]]), tuple(replacements))


def map_positions(
    source: str, encoding: Encoding, translated: Encoding, replacements: Sequence[Replacement]
) -> NDArray[np.int64]:
    """Position of the translated block that each source position corresponds to, (T,); -1 where there is none.

    By prefix: i corresponds to j when the source up to the end of token i translates exactly to the translated text up to the end of
    token j. Of several tokens that end at one character the last maps so, and the earlier ones in order if both runs hold equal ids.
    """
    targets = _translated_prefix(encoding.ends, replacements)
    targets[straddles(source, encoding, replacements)] = -1
    at = np.searchsorted(translated.ends, targets, side="right") - 1
    found = (targets >= 0) & (at >= 0)
    found[found] = translated.ends[at[found]] == targets[found]
    mapping = np.where(found, at, -1)

    runs = np.flatnonzero(encoding.ends[1:] == encoding.ends[:-1])  # tokens that end where the next one ends
    handled: set[int] = set()
    for first in runs.tolist():
        if first in handled:
            continue
        last = first
        while last + 1 < len(encoding.ends) and encoding.ends[last + 1] == encoding.ends[first]:
            last += 1
        handled.update(range(first, last))
        _map_run(mapping, encoding, translated, first, last)
    return mapping


def _map_run(mapping: NDArray[np.int64], encoding: Encoding, translated: Encoding, first: int, last: int) -> None:
    """Pairs the earlier tokens of a run, in place: in order if the two runs hold equal ids, else not at all."""
    mapped = mapping[first : last + 1]
    straddling = mapped < 0
    if straddling[-1]:
        mapping[first:last] = -1
        return
    begin = end = int(mapped[-1])
    while begin > 0 and translated.ends[begin - 1] == translated.ends[end]:
        begin -= 1
    equal = np.array_equal(translated.ids[begin : end + 1], encoding.ids[first : last + 1])
    mapping[first:last] = np.where(straddling[:-1], -1, np.arange(begin, end)) if equal else -1


def _translated_prefix(ends: NDArray[np.int64], replacements: Sequence[Replacement]) -> NDArray[np.int64]:
    """Length of the translation of each source prefix; -1 for one that ends strictly inside an anchor."""
    if not replacements:
        return ends.copy()
    anchor_starts = np.array([r.match.start for r in replacements])
    anchor_ends = np.array([r.match.end for r in replacements])
    shifts = np.concatenate([[0], np.array([r.end for r in replacements]) - anchor_ends])
    passed = np.searchsorted(anchor_ends, ends, side="right")  # anchors that end at or before the prefix's end
    inside = (passed < len(replacements)) & (anchor_starts[np.minimum(passed, len(replacements) - 1)] < ends)
    return np.where(inside, -1, ends + shifts[passed])


def straddles(source: str, encoding: Encoding, replacements: Sequence[Replacement]) -> NDArray[np.bool_]:
    """Tokens that an anchor's edge cuts, white space at their own ends set aside."""
    straddling = np.zeros(len(encoding.ids), dtype=bool)
    edges = [edge for r in replacements for edge in (r.match.start, r.match.end)]
    first = np.searchsorted(encoding.ends, edges, side="right").tolist()  # first token that ends behind each edge
    starts, ends = encoding.starts.tolist(), encoding.ends.tolist()
    for edge, token in zip(edges, first, strict=True):
        while token < len(starts) and starts[token] < edge:
            cut = source[starts[token] : edge].strip() and source[edge : ends[token]].strip()
            straddling[token] |= bool(cut) and not encoding.special[token]
            token += 1
    return straddling


def repeated(
    source: str, encoding: Encoding, replacements: Sequence[Replacement], *, repeats: Repeats = "entity"
) -> NDArray[np.bool_]:
    """Rule 1: positions whose next token belongs to a second or later occurrence of an entity, or to the white space before it, (T,).

    `repeats`: what counts as the same: the `entity`, or, as in the paper, the anchor string; or `none`: no position is ignored.
    """
    ignored = np.zeros(len(encoding.ids), dtype=bool)
    if repeats == "none":
        return ignored
    seen: set[str] = set()
    for replacement in replacements:
        anchor = replacement.match.anchor
        name = anchor.key if repeats == "entity" else anchor.anchor
        if name not in seen:
            seen.add(name)
            continue
        start, end = replacement.match.start, replacement.match.end
        while start > 0 and source[start - 1].isspace():
            start -= 1
        overlapping = (encoding.starts < end) & (encoding.ends > start) & ~encoding.special
        ignored[:-1] |= overlapping[1:]
    return ignored


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
