"""`hp_recall`: how much of the user's own text does a model repeat that is given the openings of its chapters? Lower = less known.

Nothing of the text, nor of what the model says, is in the results or the samples.

Source: near-verbatim recall: arXiv:2601.02671.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

from hp_bench.engines.fit import reason_of
from hp_bench.harness.packaged import PackagedTask
from hp_bench.judges.grades import with_errors
from hp_bench.probes.passages import OPENED, book_and_chapters, digest, openings
from hp_bench.text.completion import parts
from hp_bench.text.recall import recall


class RecallTask(PackagedTask):
    """50 words from the beginning of a book and of each of its chapters, continued greedily once and then `repeats` times by sampling.

    A continuation is compared with the 100 words that follow. Samples are seeded as those of `hp_familiarity_leak`.
    """

    SEED = "recall_seed"

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """Offsets and digests of the openings; their texts stay in this object."""
        try:
            self._openings = {f"offset-{one.offset}": one for one in openings(*book_and_chapters(path))}
        except ValueError as error:
            raise ValueError(f"{self.config.task}: text={str(path)!r}: {error}") from None
        return [
            {"id": key, "offset": one.offset, "sha256": digest(one.given + one.following)}
            for key, one in self._openings.items()
        ]

    def provenance(self, path: Path) -> str:
        """Digest of the openings and of what follows them."""
        texts = "".join(digest(one.given + one.following) for one in self._openings.values())
        return hashlib.sha256(texts.encode()).hexdigest()

    def build_all_requests(self, **options: Any) -> None:
        """Builds the requests; lm-eval's request cache is left alone."""
        super().build_all_requests(**{**options, "cache_requests": False, "rewrite_requests_cache": False})

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **options: Any) -> list[Instance]:
        """A greedy request and a sampled one; the name is lm-eval's."""
        sampled = dict(self.config.generation_kwargs or {})
        name, number, repeats = options["metadata"]
        greedy = {key: value for key, value in sampled.items() if not key.startswith("top_")}
        asked = [({**greedy, "do_sample": False, "temperature": 0.0}, 1), (sampled, repeats)]
        return [
            Instance("generate_until", doc, (self._openings[doc["id"]].given, settings), idx, (name, number, times))
            for idx, (settings, times) in enumerate(asked)
        ]

    def apply_filters(self) -> list[Instance] | None:
        """Compares every continuation with the text, and takes both away; the name is lm-eval's."""
        self.withdraw_unfit()
        for instance in self._instances:
            following = self._openings[instance.doc["id"]].following
            answers = [None if said is None else parts(said)[1] for said in instance.resps]
            # as many words as could repeat what follows, and half as many again
            begun = [None if answer is None else " ".join(answer.split()[: OPENED * 3 // 2]) for answer in answers]
            shares = [None if answer is None else recall(following, answer) for answer in begun]
            instance.filtered_resps["none"] = json.dumps({"shares": shares, "unscored": reason_of(instance)})
            instance.resps = ["" if said is None else digest(said) for said in instance.resps]
            instance.arguments = (digest(instance.args[0]), instance.args[1])
        return self._instances

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, float]:
        """An opening's numbers; NaN if one of its continuations is missing."""
        greedy, sampled = (json.loads(result)["shares"] for result in results)
        names = ("recall_greedy", "recall_sampled", "recall_best", "recall_longest")
        if None in greedy or None in sampled or not sampled:
            return with_errors(dict.fromkeys(names, math.nan))
        every = [*greedy, *sampled]
        mean = math.fsum(share for share, _ in sampled) / len(sampled)
        values = (greedy[0][0], mean, max(share for share, _ in every), max(longest for _, longest in every))
        return with_errors(dict(zip(names, values, strict=True)))
