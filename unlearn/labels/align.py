"""Blocks -> translated blocks with the positions to label and rule 2's forbidden ids; and the count of what happened."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.corpus.blocks import Block
from unlearn.corpus.encoding import Encoding, encode
from unlearn.labels.branches import Branches, find_branches
from unlearn.labels.translate import Replacement, Translated, first_uses, map_positions, repeated, straddles, translate
from unlearn.settings import Forbid, LabelSettings

#: Pairs of a token id and the one it changes places with, -1: it is forbidden; and rule 2 of a block, as `Aligned` has it.
Pairs = tuple[tuple[int, int], ...]
Rules = tuple[tuple[int, Pairs], ...]


@dataclass
class LabelReport:
    """What happened while labels were made; counts add up over blocks, batches and ranks.

    Attributes:
        blocks: labelled.
        positions: that predict a token of their block.
        kept: of those, mapped to a position of the translated block, or read behind one, and not left out by rule 1.
        repeated: left out by rule 1.
        anchors: occurrences, those that end a block left out.
        anchors_kept: of those, whose end is mapped.
        changed: kept positions whose label differs from the baseline's own argmax on the translated block, first alpha.
        gauge_checked: kept positions at which both gauges were tried.
        gauge_differs: of those, labels that differ between `raw` and `log_softmax`, first alpha.
        excepted: forbidden ids that were frequent tokens of the target, one count a translation and block.
        lost: why anchor ends were not mapped.
    """

    blocks: int = 0
    positions: int = 0
    kept: int = 0
    repeated: int = 0
    anchors: int = 0
    anchors_kept: int = 0
    changed: int = 0
    gauge_checked: int = 0
    gauge_differs: int = 0
    excepted: int = 0
    lost: Counter[str] = field(default_factory=Counter)

    def add(self, other: "LabelReport") -> None:
        """Adds another report's counts."""
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)

    @classmethod
    def read(cls, path: Path) -> "LabelReport":
        """From JSON, as `to_dict` gives it."""
        counts = json.loads(path.read_text())
        return cls(**{**counts, "lost": Counter(counts["lost"])})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**vars(self), "lost": dict(sorted(self.lost.items()))}

    def warnings(self) -> list[str]:
        """Sentences about shares below 95 %."""
        said = []
        for what, kept, total in (
            ("positions", self.kept + self.repeated, self.positions),
            ("anchor ends", self.anchors_kept, self.anchors),
        ):
            if total and kept < 0.95 * total:
                causes = "; ".join(f"{cause} ({count})" for cause, count in self.lost.most_common(3))
                causes = causes or "tokens that differ in the two texts"
                said.append(f"only {kept / total:.1%} of {what} could be mapped; commonest causes: {causes}")
        return said


@dataclass(frozen=True)
class Aligned:
    """A block ready for the models.

    Attributes:
        block: source.
        translated: text and replacements.
        translated_encoding: fresh encoding of the translated text.
        source_positions: kept positions i of the source, (N,).
        translated_positions: their counterparts j, (N,); inside an anchor: the translated block's length plus the branch token's index.
        prefix_positions: the last positions of the translated block that their counterparts have seen, (N,); the same but inside anchors.
        rules: rule 2: (from position j on, pairs of a token id and the one it changes places with, -1: it is forbidden) of each
            translation used, by position.
        branches: what is read beside the translated block.
    """

    block: Block
    translated: Translated
    translated_encoding: Encoding
    source_positions: NDArray[np.int64]
    translated_positions: NDArray[np.int64]
    prefix_positions: NDArray[np.int64]
    rules: Rules
    branches: Branches


class ForbiddenIds:
    """First tokens of translations, which rule 2 forbids, or renames, once a translation has been used.

    Args:
        tokenizer: of both models.
        frequent: ids that stay allowed, because they begin much else (" the").
        rule: `frequent-excepted`, or `paper`: none stays allowed; or `rename`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, frequent: frozenset[int], rule: Forbid) -> None:
        self._tokenizer, self._frequent, self._rule = tokenizer, frequent, rule
        self._firsts: dict[str, tuple[int | None, int | None]] = {}

    def __call__(self, translation: str) -> tuple[tuple[int, ...], int]:
        """The forbidden ids of a translation, and how many frequent ones were excepted."""
        ids = {token for token in self._first(translation) if token is not None}
        allowed = ids & self._frequent if self._rule == "frequent-excepted" else set()
        return tuple(sorted(ids - allowed)), len(allowed)

    def renames(self, translations: Iterable[str], anchors: Mapping[str, str]) -> tuple[list[Pairs], int]:
        """The pairs of ids that change places from each translation's first use on, and how many pairs were excepted.

        A translation's first token goes with its anchor's, both after a space and after a newline. A pair of equal ids is none; one with a
        frequent id is excepted, and so is one with an id of an earlier pair. `translations` stand in the order of their first uses;
        `anchors`: translation -> the anchor that it stood for first.
        """
        taken: set[int] = set()
        done: set[tuple[int, int]] = set()
        found: list[Pairs] = []
        excepted = 0
        for translation in translations:
            pairs = dict.fromkeys(zip(self._first(translation), self._first(anchors[translation]), strict=True))
            kept: list[tuple[int, int]] = []
            for theirs, ours in pairs:
                if theirs is None or ours is None or theirs == ours or (theirs, ours) in done:
                    continue
                if {theirs, ours} & (self._frequent | taken):
                    excepted += 1
                    continue
                done.add((theirs, ours))
                taken |= {theirs, ours}
                kept.append((theirs, ours))
            found.append(tuple(kept))
        return found, excepted

    def _first(self, name: str) -> tuple[int | None, int | None]:
        if name not in self._firsts:
            self.learn([name])
        return self._firsts[name]

    def learn(self, names: Iterable[str]) -> None:
        """Looks up several at once, which is faster."""
        new = [t for t in dict.fromkeys(names) if t not in self._firsts]
        if not new:
            return
        texts = [before + name for name in new for before in ("a ", "a\n")]
        found = self._tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        first = [_covering(*one, 2) for one in zip(found["input_ids"], found["offset_mapping"], strict=True)]
        self._firsts |= zip(new, zip(first[::2], first[1::2], strict=True), strict=True)


def _covering(ids: Sequence[int], offsets: Sequence[tuple[int, int]], character: int) -> int | None:
    return next((token for token, (start, end) in zip(ids, offsets, strict=True) if start <= character < end), None)


def align(
    batch: Sequence[Block], tokenizer: PreTrainedTokenizerBase, anchors: AnchorDictionary, settings: LabelSettings,
    forbidden: ForbiddenIds, *, context: int | None = None, reading: int = 0,
) -> tuple[list[Aligned], LabelReport]:  # fmt: skip
    """Translates blocks and finds the positions to label.

    Args:
        anchors: the dictionary; an empty one leaves the text as it is (an ablation).
        context: the baseline's context, in tokens; None for no limit.
        reading: which of several translations, from 0.

    Raises:
        ValueError: a translated block does not fit the context; the message names it.
    """
    drawn = {"seed": settings.seed, "reading": reading}
    translations = [translate(b.text, anchors, document=b.document, block=b.number, **drawn) for b in batch]
    encodings = encode(tokenizer, [t.text for t in translations])
    forbidden.learn(r.translation for t in translations for r in t.replacements)
    report, aligned = LabelReport(blocks=len(batch)), []
    for block, translated, encoding in zip(batch, translations, encodings, strict=True):
        mapping = map_positions(block.text, block.encoding, encoding, translated.replacements)
        left_out = repeated(block.text, block.encoding, translated.replacements, repeats=settings.repeats)
        mapping[-1:] = -1
        prefixes = mapping.copy()
        branches = Branches.none()
        if settings.inside:
            cut = straddles(block.text, block.encoding, translated.replacements)
            branches = find_branches(block.encoding, encoding, translated.replacements, mapping, cut, left_out)
            mapping[branches.sources] = len(encoding.ids) + np.arange(len(branches))
            prefixes[branches.sources] = branches.prefixes
        longest = max(len(encoding.ids), branches.longest)
        if context is not None and longest > context:
            raise ValueError(
                f"document {block.document!r}, block {block.number} grows to {longest} tokens by translation, more "
                f"than the model's context of {context}: choose fewer block_tokens than {settings.block_tokens}, or shorter "
                "translations"
            )
        kept = np.flatnonzero((mapping >= 0) & ~left_out)
        _count(report, block, translated, mapping, left_out, kept)
        uses = first_uses(encoding, translated.replacements)
        rules = _rule_2(uses, translated.replacements, forbidden, settings.forbid, report)
        aligned.append(Aligned(block, translated, encoding, kept, mapping[kept], prefixes[kept], rules, branches))
    return aligned, report


def _rule_2(
    uses: Mapping[str, int], replacements: Sequence[Replacement], forbidden: ForbiddenIds, rule: Forbid, report: LabelReport
) -> Rules:  # fmt: skip
    """What rule 2 forbids, or renames, by position."""
    if rule == "rename":
        ordered = sorted(uses, key=lambda translation: uses[translation])
        anchors = {r.translation: r.match.anchor.anchor for r in reversed(replacements)}
        pairs, excepted = forbidden.renames(ordered, anchors)
        report.excepted += excepted
        return tuple((uses[t], renamed) for t, renamed in zip(ordered, pairs, strict=True))
    ids = {translation: forbidden(translation) for translation in uses}
    report.excepted += sum(excepted for _, excepted in ids.values())
    forbids = sorted((position, ids[translation][0]) for translation, position in uses.items())
    return tuple((position, tuple((token, -1) for token in tokens)) for position, tokens in forbids)


def _count(
    report: LabelReport, block: Block, translated: Translated, mapping: NDArray[np.int64], left_out: NDArray[np.bool_],
    kept: NDArray[np.int64],
) -> None:  # fmt: skip
    report.positions += max(len(mapping) - 1, 0)
    report.kept += len(kept)
    report.repeated += int((left_out & (mapping >= 0)).sum())
    ends = block.encoding.ends
    inner = [r.match.end for r in translated.replacements if r.match.end < len(block.text)]
    anchor_ends = np.array(inner, dtype=np.int64)
    at = np.searchsorted(ends, anchor_ends, side="right") - 1
    whole = (at >= 0) & (ends[at] == anchor_ends)
    mapped = whole & (mapping[at] >= 0)
    report.anchors += len(at)
    report.anchors_kept += int(mapped.sum())
    for cause, lost in (
        ("a source token joins the anchor's last letters to what follows", ~whole),
        ("a translated token joins the translation's last letters to what follows", whole & ~mapped),
    ):
        report.lost += Counter({cause: int(lost.sum())})


def read(
    batch: Sequence[Block], tokenizer: PreTrainedTokenizerBase, anchors: AnchorDictionary, settings: LabelSettings,
    forbidden: ForbiddenIds, *, context: int | None = None,
) -> tuple[list[list[Aligned]], LabelReport]:  # fmt: skip
    """As `align`, in `settings.translations` readings.

    Returns:
        Of each reading the blocks, all with the same source positions; and what was counted: in the first reading, but for `kept`, which
        counts the positions that every reading maps.

    Raises:
        ValueError: a translated block does not fit the context; the message names it.
    """
    both = [
        align(batch, tokenizer, anchors, settings, forbidden, context=context, reading=reading)
        for reading in range(settings.translations)
    ]
    readings, report = [aligned for aligned, _ in both], both[0][1]
    if len(readings) > 1:
        for number in range(len(batch)):
            shared = reduce(np.intersect1d, (blocks[number].source_positions for blocks in readings))
            for blocks in readings:
                blocks[number] = _at(blocks[number], shared)
        report.kept = sum(len(item.source_positions) for item in readings[0])
    return readings, report


def _at(item: Aligned, positions: NDArray[np.int64]) -> Aligned:
    """The block, with some of its kept positions alone."""
    where = np.searchsorted(item.source_positions, positions)
    counterparts, prefixes = item.translated_positions[where], item.prefix_positions[where]
    return replace(item, source_positions=positions, translated_positions=counterparts, prefix_positions=prefixes)
