"""Translating and aligning 10 MB of text with 1,500 anchors against tokenising that text once; one thread, processor time, in turn.

Cutting the text into blocks, which tokenises it as well, is shown beside it.
"""

import os
import time
from statistics import median
from typing import Any

ROUNDS = 3
CHARACTERS, ANCHORS = 10_000_000, 1_500
GOAL = 3.0


def run() -> list[dict[str, Any]]:
    """One result a side."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from benchmarks.prose import anchors, prose, tokenizer
    from unlearn import AnchorDictionary, LabelSettings
    from unlearn.corpus.blocks import blocks, encode
    from unlearn.corpus.corpus import Document
    from unlearn.labels.align import align
    from unlearn.labels.rule_two import ForbiddenIds

    text, read, settings = prose(CHARACTERS, named=ANCHORS), tokenizer(), LabelSettings()
    dictionary = AnchorDictionary.build(anchors(ANCHORS))
    began = time.process_time()
    cut = list(blocks(Document("prose", text), read, settings.block_tokens))
    cutting = time.process_time() - began
    batches = [cut[begin : begin + 8] for begin in range(0, len(cut), 8)]

    def once() -> None:
        for batch in batches:
            read([block.text for block in batch])

    def ours() -> None:
        forbidden = ForbiddenIds(read, frozenset(), "frequent-excepted")
        for batch in batches:
            encode(read, [block.text for block in batch])
            align(batch, read, dictionary, settings, forbidden)

    seconds: dict[str, list[float]] = {"tokenise once": [], "translate and align": []}
    for _ in range(ROUNDS):
        for name, side in zip(seconds, (once, ours), strict=True):
            began = time.process_time()
            side()
            seconds[name].append(time.process_time() - began)
    ratio = median(b / a for a, b in zip(*seconds.values(), strict=True))
    base = median(seconds["tokenise once"])
    return [
        {"what": "tokenise once", "blocks": len(cut), "processor seconds": base, "x tokenise once": 1.0, "goal": ""},
        {
            "what": "tokenise both texts, translate and align", "blocks": len(cut),
            "processor seconds": median(seconds["translate and align"]), "x tokenise once": ratio, "goal": f"<= {GOAL:g}",
        },
        {
            "what": "cut into blocks (once, beside it)", "blocks": len(cut), "processor seconds": cutting,
            "x tokenise once": cutting / base, "goal": "",
        },
    ]  # fmt: skip
