"""Source block -> translated block: every anchor replaced by one of its translations."""

import hashlib
from dataclasses import dataclass

from unlearn.anchors.dictionary import AnchorDictionary, Match


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
