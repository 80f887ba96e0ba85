"""Several readings of the same blocks: every entity has another translation in each; what is labelled is what all of them hold."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from unlearn.align import Aligned, ForbiddenIds, LabelReport, align
from unlearn.anchors import AnchorDictionary
from unlearn.corpus import Block
from unlearn.label_settings import LabelSettings


def read(
    batch: Sequence[Block],
    tokenizer: PreTrainedTokenizerBase,
    anchors: AnchorDictionary,
    settings: LabelSettings,
    forbidden: ForbiddenIds,
    *,
    context: int | None = None,
) -> tuple[list[list[Aligned]], LabelReport]:
    """Translates blocks `settings.translations` times and finds the positions to label.

    Args:
        batch: source blocks.
        tokenizer: of both models.
        anchors: the dictionary.
        settings: rules, seed and number of readings.
        forbidden: rule 2's ids.
        context: the baseline's context, in tokens; None for no limit.

    Returns:
        Of each reading the blocks, all with the same source positions; and what was counted: in the first reading, but for `kept`, which
        counts the positions that every reading maps.

    Raises:
        ValueError: a translated block does not fit the context; the message names it.
    """
    aligned, report = align(batch, tokenizer, anchors, settings, forbidden, context=context)
    readings = [aligned]
    for reading in range(1, settings.translations):
        further, _ = align(batch, tokenizer, anchors, settings, forbidden, context=context, reading=reading)
        readings.append(further)
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
    return replace(
        item,
        source_positions=positions,
        translated_positions=item.translated_positions[where],
        prefix_positions=item.prefix_positions[where],
    )
