"""Translating and aligning 1 MB of text with 10 to 10,000 anchors in the dictionary, ten of them in the text; one thread, in turn."""

import os
import time
from statistics import median
from typing import Any

ROUNDS = 3
CHARACTERS = 1_000_000
SIZES = (10, 100, 1_000, 10_000)


def run() -> list[dict[str, Any]]:
    """One result a size; `x the smallest` should stay near 1."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from benchmarks.prose import anchors, prose, tokenizer
    from unlearn import AnchorDictionary, LabelSettings
    from unlearn.corpus.blocks import blocks
    from unlearn.corpus.corpus import Document
    from unlearn.labels.align import align
    from unlearn.labels.rule_two import ForbiddenIds

    text, read, settings = prose(CHARACTERS, named=SIZES[0]), tokenizer(), LabelSettings()
    cut = list(blocks(Document("prose", text), read, settings.block_tokens))
    largest = anchors(SIZES[-1])
    dictionaries = {size: AnchorDictionary(tuple(largest[:size])) for size in SIZES}
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    found = dict.fromkeys(SIZES, 0)
    for _ in range(ROUNDS):
        for size, dictionary in dictionaries.items():
            forbidden = ForbiddenIds(read, frozenset(), "frequent-excepted")
            began = time.process_time()
            reports = [
                align(cut[at : at + 8], read, dictionary, settings, forbidden)[1] for at in range(0, len(cut), 8)
            ]
            seconds[size].append(time.process_time() - began)
            found[size] = sum(report.anchors for report in reports)
    return [
        {
            "anchors": size, "found in the text": found[size], "processor seconds": median(seconds[size]),
            "x the smallest": median(b / a for a, b in zip(seconds[SIZES[0]], seconds[size], strict=True)),
        }
        for size in SIZES
    ]  # fmt: skip
