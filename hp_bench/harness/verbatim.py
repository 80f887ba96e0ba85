"""`hp_verbatim`: does the model say the user's own text word by word? Lower = less known.

Nothing of the text is in the results or the samples: offsets, digests and numbers alone.

Source: extraction strength: Carlini et al. (2021); verbatim memorisation as in MUSE, arXiv:2407.06460.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

from hp_bench.harness.continuations import ContinuationTask
from hp_bench.probes.passages import FOLLOWING, STEPS, passages
from hp_bench.results.likelihoods import require_sound, suffix_strength

#: Of the offsets, where the metadata says nothing of `text_seed`.
SEED = 0


class VerbatimTask(ContinuationTask):
    """Passages of the file that `text` in the metadata names, each cut in ten places: after 50 of its words, 55, ..., 95."""

    WITHHELD = True
    METRICS = ("extraction_strength", "verbatim_probability", "word_probability")

    def prompt_file(self, name: str) -> Path:
        """The user's text; whatever `prompts` says is for other tasks."""
        return self.user_file("text", "a text file")

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """Offsets and digests of the passages; their texts stay in this object."""
        try:
            text = path.read_text(encoding="utf-8-sig")
            found = passages(text, seed=self.whole_number("text_seed", SEED))
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.config.task}: text={str(path)!r} is not UTF-8 text: {error.reason}") from None
        except ValueError as error:
            raise ValueError(f"{self.config.task}: text={str(path)!r}: {error}") from None
        self._passages = {f"offset-{one.offset}": one for one in found}
        return [{"id": key, "offset": one.offset, "sha256": one.sha256} for key, one in self._passages.items()]

    def provenance(self, path: Path) -> str:
        """Digest of the passages: another text or seed asks other things."""
        return hashlib.sha256("".join(one.sha256 for one in self._passages.values()).encode()).hexdigest()

    def continuations(self, doc: dict[str, Any]) -> list[tuple[str, str]]:
        """The passage at each of its cuts."""
        return list(self._passages[doc["id"]].cuts)

    def numbers(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> tuple[float, float, float]:
        """A passage's three numbers.

        Only the whole continuation's log-likelihood is used: where several requests end alike, lm-eval's hf model runs the text once
        and gives the shorter ones wrong sums, though right answers to whether they are the most probable.
        """
        whole = results[0][0]
        require_sound([whole])
        strength = suffix_strength(STEPS, [greedy for _, greedy in results], FOLLOWING)
        return strength, math.exp(min(whole, 0.0)), math.exp(min(whole, 0.0) / FOLLOWING)
