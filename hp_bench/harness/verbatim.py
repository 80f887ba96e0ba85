"""`hp_verbatim`: the user's own text, window by window: how likely does the model go on word by word? Lower = less known.

Nothing of the text is in the results or the samples: offsets, digests and numbers alone.

Source: p_z, windows through a whole book: arXiv:2505.12546; (n, p)-discoverable extraction: arXiv:2410.19482.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from transformers import PreTrainedTokenizerBase

from hp_bench.engines.windows import Window
from hp_bench.harness.packaged import ContinuationTask, model_to_be_asked
from hp_bench.probes.passages import FOLLOWING, GIVEN, STRIDE, book_and_chapters, digest, window_starts, window_words
from hp_bench.results.likelihoods import at_least_once, require_sound

#: Shares of the text whose p_z is above these are reported, and (n, p) of the discoverable rates: samples, and the probability that one of
#: them is the text. (1, .5) is `verbatim_above_5`.
THRESHOLDS = (0.001, 0.01, 0.1, 0.5)
DISCOVERABLE = [(1, 90), *((n, percent) for n in (10, 100, 1000) for percent in (50, 90))]

#: Of the metadata's `windows`.
_KINDS = ("tokens", "words")


class VerbatimTask(ContinuationTask):
    """50 tokens after 50 others, from every `stride`-th character of the file that `text` in the metadata names.

    Tokens are the model's own, beginning tokens included as the engine adds them. `windows=words` in the metadata takes words instead, so
    that models with different tokenizers compare.
    """

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """Offsets and digests of the windows' places; the text stays in this object."""
        self._stride = self.whole_number("stride", STRIDE, least=10)
        self._kind = self.config.metadata.setdefault("windows", "tokens")
        if self._kind not in _KINDS:
            raise ValueError(f"{self.config.task}: windows must be {' or '.join(_KINDS)}, not {self._kind!r}")
        try:
            self._text, _ = book_and_chapters(path)
            starts = window_starts(self._text, stride=self._stride)
        except ValueError as error:
            raise ValueError(f"{self.config.task}: text={str(path)!r}: {error}") from None
        return [{"id": f"offset-{at}", "offset": at, "sha256": digest(self._piece(at))} for at in starts]

    def provenance(self, path: Path) -> str:
        """Digest of text, stride and kind of windows."""
        return hashlib.sha256(f"{self._kind} {self._stride} {digest(self._text)}".encode()).hexdigest()

    def build_all_requests(self, **options: Any) -> None:
        """Cuts the windows in the tokens of the model that is about to be asked; lm-eval's request cache is left alone."""
        options["cache_requests"] = options["rewrite_requests_cache"] = False
        self.config.metadata["tokens_sha256"] = ""
        if self._kind == "words":
            return super().build_all_requests(**options)
        lm = model_to_be_asked()
        self._tokenizer: Any = getattr(lm, "tokenizer", None)
        if not isinstance(self._tokenizer, PreTrainedTokenizerBase):
            raise ValueError(
                f"{self.config.task}: the tokens of this model are not known: give windows=words in --metadata"
            )
        self._lead = lm.tok_encode("a")[: -len(self._ids("a"))]
        if (needed := len(self._lead) + GIVEN + FOLLOWING) >= lm.max_length:
            raise ValueError(
                f"{self.config.task}: {needed} tokens and one more do not fit the context of {lm.max_length} tokens"
            )
        super().build_all_requests(**options)
        keys = "".join(instance.key for instance in self._instances)
        self.config.metadata["tokens_sha256"] = hashlib.sha256(keys.encode()).hexdigest()

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **options: Any) -> list[Instance]:
        """One request a window; the name is lm-eval's."""
        if self._kind == "words":
            return super().construct_requests(doc, ctx, **options)
        ids = self._window(doc["offset"])
        return [
            Window(
                request_type="_loglikelihood_tokens", doc=doc, arguments=(self._piece(doc["offset"]),), idx=0,
                metadata=options["metadata"], given=[*self._lead, *ids[:GIVEN]], following=ids[GIVEN:],
            )
        ]  # fmt: skip

    def apply_filters(self) -> list[Instance] | None:
        """Runs after the model has answered and before lm-eval makes its samples, which hold digests in place of the texts."""
        found = super().apply_filters()
        for instance in self._instances:
            instance.arguments = tuple(digest(text) for text in instance.arguments)
        return found

    def continuations(self, doc: dict[str, Any]) -> list[tuple[str, str]]:
        """The window in words."""
        return [window_words(self._text, doc["offset"])]

    def numbers(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> list[float]:
        """A window's p_z, the same a token, whether greedy decoding says it, and whether it is above each threshold and discoverable."""
        ((log_likelihood, greedy),) = results
        require_sound([log_likelihood])
        p = math.exp(min(log_likelihood, 0.0))
        return [
            p, math.exp(min(log_likelihood, 0.0) / FOLLOWING), greedy,
            *(p > least for least in THRESHOLDS),
            *(at_least_once(p, n) >= percent / 100 for n, percent in DISCOVERABLE),
        ]  # fmt: skip

    def _piece(self, start: int) -> str:
        """The text from a window's start to the next, by which it is known and its tokenizer is looked at."""
        return self._text[start : start + self._stride]

    def _window(self, start: int) -> list[int]:
        """The tokens from a start on; near the end of the text its last ones."""
        length, size = GIVEN + FOLLOWING, 5 * (GIVEN + FOLLOWING)
        while True:
            ids = self._ids(self._text[start : start + size])
            if len(ids) > length + 10:  # the last ones may be pieces of a word
                return ids[:length]
            if start + size >= len(self._text):
                break
            size *= 2
        if len(ids) >= length:
            return ids[:length]
        ids = self._ids(self._text[max(0, start - size) :])
        if len(ids) < length:
            raise ValueError(f"{self.config.task}: the text has {len(ids)} tokens: at least {length} are needed")
        return ids[-length:]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
