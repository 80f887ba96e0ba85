"""`hp_general`: the loss on general English, which unlearning should leave as it is. Lower = better."""

import math
from functools import partial
from typing import Any

from hp_bench.harness.packaged import PackagedTask
from hp_bench.judges.grades import with_errors
from hp_bench.probes.rows import WholeText, load_rows


class LossTask(PackagedTask):
    """Negative log-likelihood of whole texts, in bits a byte of UTF-8: so models with different tokenizers compare."""

    PROMPTS = "general.jsonl"

    READ = staticmethod(partial(load_rows, kind=WholeText, what="a text"))

    def process_results(self, doc: dict[str, Any], results: list[float]) -> dict[str, float]:
        """One text's bits a byte; NaN where the model gave no number."""
        bits = -results[0] / math.log(2) / len(doc["text"].encode())
        return with_errors({"bits_per_byte": bits if math.isfinite(bits) else math.nan})
