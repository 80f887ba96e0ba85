"""Which positions of a source block and its translation correspond, which of them are labelled, and how many."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.corpus.blocks import Block, Encoding, encode
from unlearn.labels.branches import Branches, find_branches
from unlearn.labels.rule_two import ForbiddenIds, Rules
from unlearn.labels.translate import Replacement, Translated, translate
from unlearn.settings import LabelSettings, Repeats


@dataclass(frozen=True)
class Aligned:
    """A block ready for the models.

    Attributes:
        block: source.
        translated_encoding: fresh encoding of the translated text.
        source_positions: kept positions i of the source, (N,).
        translated_positions: their counterparts j, (N,); inside an anchor: the translated block's length plus the branch token's index.
        prefix_positions: the last positions of the translated block that their counterparts have seen, (N,); the same but inside anchors.
        rules: rule 2's.
        replacements: the anchors of the source, in reading order.
        branches: what is read beside the translated block.
    """

    block: Block
    translated_encoding: Encoding
    source_positions: NDArray[np.int64]
    translated_positions: NDArray[np.int64]
    prefix_positions: NDArray[np.int64]
    rules: Rules
    replacements: tuple[Replacement, ...]
    branches: Branches


def map_positions(
    encoding: Encoding, translated: Encoding, replacements: Sequence[Replacement], straddling: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Position of the translated block that each source position corresponds to, (T,); -1 where there is none.

    By prefix: i corresponds to j when the source up to the end of token i translates exactly to the translated text up to the end of
    token j. Of several tokens that end at one character the last maps so, and the earlier ones in order if both runs hold equal ids.
    `straddling`: source tokens that an anchor's edge cuts, (T,).
    """
    targets = _translated_prefix(encoding.ends, replacements)
    targets[straddling] = -1
    at = np.searchsorted(translated.ends, targets, side="right") - 1
    found = (targets >= 0) & (at >= 0)
    found[found] = translated.ends[at[found]] == targets[found]
    mapping = np.where(found, at, -1)

    _, firsts, counts = np.unique(encoding.ends, return_index=True, return_counts=True)
    for run in np.flatnonzero(counts > 1):  # tokens that end at one character
        _map_run(mapping, encoding, translated, int(firsts[run]), int(firsts[run] + counts[run] - 1))
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
        ignored[:-1] |= encoding.overlapping(start, end)[1:]
    return ignored


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


def align(
    batch: Sequence[Block], tokenizer: PreTrainedTokenizerBase, anchors: AnchorDictionary, settings: LabelSettings,
    forbidden: ForbiddenIds, *, context: int | None = None, reading: int = 0,
) -> tuple[list[Aligned], LabelReport]:  # fmt: skip
    """Translates blocks and finds the positions to label.

    Args:
        anchors: the dictionary; an empty one leaves the text as it is (an ablation).
        context: the baseline's context, in tokens; None for no limit.
        reading: which of several translations, from 0.

    Raises ValueError: a translated block does not fit the context; the message names it.
    """
    drawn = {"seed": settings.seed, "reading": reading}
    translations = [translate(b.text, anchors, document=b.document, block=b.number, **drawn) for b in batch]
    encodings = encode(tokenizer, [t.text for t in translations])
    report, aligned = LabelReport(blocks=len(batch)), []
    for block, translated, encoding in zip(batch, translations, encodings, strict=True):
        cut = straddles(block.text, block.encoding, translated.replacements)
        mapping = map_positions(block.encoding, encoding, translated.replacements, cut)
        left_out = repeated(block.text, block.encoding, translated.replacements, repeats=settings.repeats)
        mapping[-1:] = -1
        prefixes = mapping.copy()
        inside = translated.replacements if settings.inside else ()
        branches = find_branches(block.encoding, encoding, inside, mapping, cut, left_out)
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
        rules, excepted = forbidden.rules(encoding, translated.replacements)
        report.excepted += excepted
        counterparts = (kept, mapping[kept], prefixes[kept])
        aligned.append(Aligned(block, encoding, *counterparts, rules, translated.replacements, branches))
    return aligned, report


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


def only_shared(readings: Sequence[Sequence[Aligned]]) -> list[list[Aligned]]:
    """Readings of the same blocks, with those source positions alone that every reading maps."""
    shared = [
        reduce(np.intersect1d, (item.source_positions for item in items)) for items in zip(*readings, strict=True)
    ]
    return [[_at(item, positions) for item, positions in zip(items, shared, strict=True)] for items in readings]


def _at(item: Aligned, positions: NDArray[np.int64]) -> Aligned:
    """The block, with some of its kept positions alone."""
    where = np.searchsorted(item.source_positions, positions)
    counterparts, prefixes = item.translated_positions[where], item.prefix_positions[where]
    return replace(item, source_positions=positions, translated_positions=counterparts, prefix_positions=prefixes)
