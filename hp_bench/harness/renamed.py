"""`hp_renamed`: does the model now know the target under other names? 0 = no; lower = less.

The user's anchor dictionary renames the statements and answers of `qa.jsonl`. Scored is whether the model tells which answer belongs
to which statement, rather than the answer of another statement, of the same kind: see `hp_bench.renaming.pairing`.
"""

import hashlib
import logging
import math
from pathlib import Path
from typing import Any

from hp_bench.clozes import load_clozes
from hp_bench.harness.continuations import ContinuationTask, with_errors
from hp_bench.lexicon import Lexicon
from hp_bench.renaming import Anchors, pairing, pairs

log = logging.getLogger(__name__)

#: Fewer pairs than this say nothing.
FEWEST = 15
#: Of the translations and the pairs, where the metadata says nothing of `renamed_seed`.
SEED = 0


class RenamedTask(ContinuationTask):
    """Statements and answers under other names, and, with the same answers, the statements as they stand in the target's words.

    Needs `anchors` in the metadata. The dictionary may quote the user's text: samples hold digests and numbers, no renamed text.
    """

    PROMPTS = "qa.jsonl"
    WITHHELD = True

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """Ids and kinds of the pairs of statements that the dictionary can rename; their texts stay in this object."""
        file = self.user_file("anchors", "an anchor dictionary")
        lexicon = Lexicon.load(self.lexicon_file())
        clozes = load_clozes(path)
        seed = self.whole_number("renamed_seed", SEED)
        asked = pairs(
            clozes,
            Anchors.load(file),
            lambda answer: owner.type if (owner := lexicon.owner(answer)) is not None else "answer",
            seed=seed,
        )
        if len(asked) < FEWEST:
            raise ValueError(
                f"{self.config.task}: not applicable: of {len(clozes)} statements anchors={str(file)!r} makes {len(asked)} pairs with "
                f"other names, and at least {FEWEST} are needed"
            )
        self._asked = {one.id: one for one in asked}
        return [{"id": one.id, "kind": one.first.kind} for one in asked]

    def provenance(self, path: Path) -> str:
        """Digest of statements, dictionary, lexicon and seed: with another one of them other things are asked."""
        asked = [repr(one) for one in self._asked.values()]
        return hashlib.sha256("\n".join(asked).encode("utf-8", "surrogatepass")).hexdigest()

    def continuations(self, doc: dict[str, Any]) -> list[tuple[str, str]]:
        """What `pairing` needs: both answers after both prompts, first the renamed ones, then the original ones."""
        pair = self._asked[doc["id"]]
        prompts = [pair.first.prompt, pair.second.prompt, pair.first.original, pair.second.original]
        return [(prompt, f" {one.answer}") for prompt in prompts for one in (pair.first, pair.second)]

    def process_results(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
        """A pair's two numbers; NaN, logged, where the log-likelihoods make no sense."""
        likelihoods = [log_likelihood for log_likelihood, _ in results]
        try:
            renamed, spontaneous = pairing(likelihoods[:4]), pairing(likelihoods[4:])
        except ValueError as error:
            log.error("%s, prompt %s is unscored: %s", self.config.task, doc["id"], error)
            renamed = spontaneous = math.nan
        return with_errors({"renamed": renamed, "renamed_spontaneous": spontaneous})
