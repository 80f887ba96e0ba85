"""Generic labels: what a model that never read the unlearn target would have said next, for every token of it.

The baseline reads translated blocks, the reinforced model the source; their logits are combined at the positions that correspond.
The method is in docs/method.md, exactly.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.corpus.blocks import Block
from unlearn.labels.align import Aligned, LabelReport, align, only_shared
from unlearn.labels.branches import Branches, paths, tree
from unlearn.labels.formula import gauged, rise
from unlearn.labels.position_logits import PositionLogits
from unlearn.labels.rule_two import Changes, ForbiddenIds, TargetNames, rule_two
from unlearn.models import same_vocabulary
from unlearn.settings import IGNORED, Gauge, LabelSettings, alpha_column

Ids = Sequence[NDArray[np.int64]]

#: How many kept positions of each batch are labelled in both gauges, for the report.
_GAUGE_ROWS = 64


class Labeller:
    """Makes the labels of batches of blocks; the baseline reads translated blocks.

    Args:
        reinforced: reads source blocks; None for the ablation without reinforcement (then it is taken to equal the baseline's logits).
        frequent: the target's most frequent tokens, for rule 2.
        names: of the target, for `forbid_names`.
        row_bytes: memory for one chunk of logits, in bytes; bounds what is held beside the models.

    Raises ValueError: the two models' vocabularies differ in size.
    """

    def __init__(
        self, baseline: Any, reinforced: Any, tokenizer: PreTrainedTokenizerBase, anchors: AnchorDictionary, settings: LabelSettings, *,
        frequent: frozenset[int], names: TargetNames | None = None, row_bytes: int | None = None,
    ) -> None:  # fmt: skip
        if reinforced is not None:
            same_vocabulary(baseline, reinforced)
        self._baseline = PositionLogits(baseline)
        self._reinforced = PositionLogits(reinforced) if reinforced is not None else None
        self._tokenizer, self._anchors, self.settings = tokenizer, anchors, settings
        self._forbidden, self._names = ForbiddenIds(tokenizer, frequent, settings.forbid), names
        self._context = getattr(baseline.config.get_text_config(), "max_position_embeddings", None)
        on_gpu = self._baseline.device.type != "cpu"
        vocabulary = baseline.get_output_embeddings().weight.shape[0]
        self._top_k = min(settings.top_k, vocabulary)
        held = 2 + len(settings.alphas) - (settings.translations == 1)  # rows of logits at one time for each position
        self._chunk = max(1, (row_bytes or (1 << 30 if on_gpu else 1 << 25)) // (4 * vocabulary * held))

    def __call__(self, batch: Sequence[Block]) -> tuple[list[dict[str, Any]], LabelReport]:
        """One row a block, columns as docs/method.md says under "Storage", and what was counted.

        Raises ValueError: a translated block outgrows the context, or a model returns NaN; the message names the block.
        """
        how = (self._tokenizer, self._anchors, self.settings, self._forbidden)
        each = [align(batch, *how, context=self._context, reading=n) for n in range(self.settings.translations)]
        readings, report = only_shared([aligned for aligned, _ in each]), each[0][1]
        aligned = readings[0]
        report.kept = sum(len(item.source_positions) for item in aligned)
        rows = [_row(item.block, self.settings, self._top_k) for item in aligned]
        if report.kept:
            self._label(readings, rows, report)
        plain = [{name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in row.items()} for row in rows]
        return plain, report

    def _label(
        self, readings: Sequence[Sequence[Aligned]], rows: Sequence[dict[str, NDArray]], report: LabelReport
    ) -> None:
        hidden_b = [self._translated(reading) for reading in readings]
        aligned = readings[0]
        hidden_r = None
        if self._reinforced is not None:
            sources = [a.block.encoding.ids for a in aligned]
            hidden_r = self._hidden(self._reinforced, sources, [a.source_positions for a in aligned])
        owner = np.concatenate([np.full(len(a.source_positions), n) for n, a in enumerate(aligned)])
        target = np.concatenate([a.source_positions for a in aligned]) + 1
        rules = [rule_two((a.prefix_positions, a.rules) for a in reading) for reading in readings]
        read = ((a.source_positions, a.block.encoding, a.replacements) for a in aligned)
        unsaid = self._names.at(read) if self._names else None
        for begin in range(0, len(owner), self._chunk):
            part = slice(begin, min(begin + self._chunk, len(owner)))
            found = self._combine(
                [hidden[part] for hidden in hidden_b], None if hidden_r is None else hidden_r[part],
                [rule.within(part) for rule in rules], unsaid and unsaid.within(part), report, check_gauge=begin == 0,
            )  # fmt: skip
            bad = np.flatnonzero(found.pop("bad").numpy())
            if bad.size:
                block = aligned[owner[part][bad[0]]].block
                raise ValueError(
                    f"document {block.document!r}, block {block.number}: a model returned logits that are not numbers (NaN)"
                )
            for column, values in found.items():
                array = values.numpy()
                for n in np.unique(owner[part]):
                    mine = owner[part] == n
                    rows[n][column][target[part][mine]] = array[mine]

    def _translated(self, reading: Sequence[Aligned]) -> Tensor:
        """Of a reading's kept positions, (N, H)."""
        ids = [a.translated_encoding.ids for a in reading]
        positions = [a.translated_positions for a in reading]
        branches = [a.branches for a in reading]
        if not any(len(b) for b in branches):
            return self._hidden(self._baseline, ids, positions)
        both = [np.concatenate([i, b.ids]) for i, b in zip(ids, branches, strict=True)]
        if self._baseline.reads_trees and self._baseline.sees_all(max(map(len, both))):
            return self._hidden(self._baseline, both, positions, branches=branches)
        own = [p < len(i) for p, i in zip(positions, ids, strict=True)]
        along = self._hidden(self._baseline, ids, [p[mine] for p, mine in zip(positions, own, strict=True)])
        found = along.new_empty(sum(map(len, positions)), along.shape[-1])
        found[np.concatenate(own)] = along
        first_rows = np.cumsum([0, *map(len, positions)])
        for first, block in zip(first_rows.tolist(), reading, strict=False):
            self._read_paths(found, first, block)
        return found

    def _read_paths(self, found: Tensor, first: int, block: Aligned) -> None:
        """Fills in a block's positions inside anchors, its rows counted from `first`: every branch as a sequence of its own."""
        length = len(block.translated_encoding.ids)
        at = {p - length: row for row, p in enumerate(block.translated_positions.tolist(), first) if p >= length}
        sequences = [
            (ids, [n for n in own.tolist() if n in at], len(ids) - len(own) - int(own[0]))
            for ids, own in paths(block.translated_encoding.ids, block.branches)
        ]
        sequences = [one for one in sequences if one[1]]
        for begin in range(0, len(sequences), self.settings.batch_blocks):
            batch = sequences[begin : begin + self.settings.batch_blocks]
            positions = [np.array(own) + shift for _, own, shift in batch]
            states = self._hidden(self._baseline, [ids for ids, _, _ in batch], positions)
            found[[at[n] for _, own, _ in batch for n in own]] = states

    def _hidden(self, model: PositionLogits, ids: Ids, positions: Ids, *, branches: Sequence[Branches] = ()) -> Tensor:
        rows = [torch.from_numpy(row) for row in ids]
        padded = pad_sequence(rows, batch_first=True, padding_value=self._tokenizer.pad_token_id or 0)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        length = padded.shape[1]
        flat = torch.from_numpy(np.concatenate([p + n * length for n, p in enumerate(positions)]))
        given = {"input_ids": padded, "attention_mask": mask}
        if branches:
            lengths = [len(i) - len(b) for i, b in zip(ids, branches, strict=True)]
            given["attention_mask"], given["position_ids"] = tree(lengths, branches, model.dtype)
        return model.hidden(flat, **given)

    @torch.inference_mode()
    def _combine(
        self, hidden_b: Sequence[Tensor], hidden_r: Tensor | None, rules: Sequence[Changes], unsaid: Changes | None,
        report: LabelReport, *, check_gauge: bool,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Labels of a chunk of kept positions; the only place where logits over the vocabulary exist."""
        settings = self.settings
        raw_r = None if hidden_r is None else self._reinforced.logits(hidden_r)  # type: ignore[union-attr]
        before = None
        readings = len(hidden_b)  # of one the logits count as they are, of several the mean of the probabilities
        sums = [torch.empty(0) for _ in settings.alphas]
        for hidden, rule in zip(hidden_b, rules, strict=True):
            raw_b = self._baseline.logits(hidden)
            raw_r = None if raw_r is None else raw_r.to(raw_b.device)
            first = before is None
            before = raw_b.argmax(dim=-1) if before is None else before
            b = gauged(raw_b, settings.logits)
            b = rule.apply(b.clone() if b is raw_b else b)
            b = unsaid.apply(b) if unsaid else b
            r = gauged(raw_r, settings.logits) if raw_r is not None else b
            rises = rise(b, r, offset=settings.offset)
            for number, alpha in enumerate(settings.alphas):
                v = torch.add(b, rises, alpha=-alpha)
                v = v if readings == 1 else torch.softmax(v, dim=-1)
                sums[number] = v if first else sums[number].add_(v)
            if first and check_gauge and raw_r is not None:
                label = torch.add(b, rises, alpha=-settings.alphas[0]).argmax(dim=-1)
                self._try_other_gauge(raw_b, raw_r, rule, unsaid, label, report)
        assert before is not None
        found: dict[str, Tensor] = {}
        for number, (alpha, total) in enumerate(zip(settings.alphas, sums, strict=True)):
            v = total if readings == 1 else torch.log(total / readings)
            largest, label = v.max(dim=-1)
            found["labels" if number == 0 else alpha_column(alpha)] = label
            if number == 0:
                found["bad"] = largest.isnan()
                report.changed += int((label != before).sum())
                if self._top_k:
                    top = v.topk(self._top_k, dim=-1)
                    found["top_ids"], found["top_logits"] = top.indices, top.values.float()
        return {column: values.cpu() for column, values in found.items()}

    def _try_other_gauge(
        self, raw_b: Tensor, raw_r: Tensor, rule: Changes, unsaid: Changes | None, label: Tensor, report: LabelReport
    ) -> None:  # fmt: skip
        """Counts, on a chunk's first rows, the labels that the other choice of `logits` would change."""
        settings, few = self.settings, slice(0, _GAUGE_ROWS)
        other: Gauge = "log_softmax" if settings.logits == "raw" else "raw"
        b = rule.within(few).apply(gauged(raw_b[few], other).clone())
        b = unsaid.within(few).apply(b) if unsaid else b
        v = torch.add(b, rise(b, gauged(raw_r[few], other), offset=settings.offset), alpha=-settings.alphas[0])
        report.gauge_checked += len(v)
        report.gauge_differs += int((v.argmax(dim=-1) != label[few]).sum())


def _row(block: Block, settings: LabelSettings, top_k: int) -> dict[str, Any]:
    length = len(block.encoding.ids)
    columns = ["labels", *map(alpha_column, settings.alphas[1:])]
    row: dict[str, Any] = {"input_ids": block.encoding.ids}
    row |= {column: np.full(length, IGNORED, dtype=np.int64) for column in columns}
    if top_k:
        row["top_ids"] = np.full((length, top_k), IGNORED, dtype=np.int64)
        row["top_logits"] = np.zeros((length, top_k), dtype=np.float32)
    return {**row, "document": block.document, "block": block.number, "start": block.start, "end": block.end}
