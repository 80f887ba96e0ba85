"""A task that asks for the log-likelihoods of continuations after contexts of its own choice, several a document."""

from abc import abstractmethod
from typing import Any

from lm_eval.api.instance import Instance

from hp_bench.harness.packaged import LikelihoodTask
from hp_bench.probes.passages import digest


class ContinuationTask(LikelihoodTask):
    """Base of the tasks whose contexts differ within a document."""

    #: Whether texts are the user's own: then lm-eval's samples hold digests in their place, and its request cache is left alone.
    WITHHELD = False

    @abstractmethod
    def continuations(self, doc: dict[str, Any]) -> list[tuple[str, str]]:
        """(context, continuation) pairs of a document; a continuation begins with the white space before its first word."""

    def build_all_requests(self, **options: Any) -> None:
        """Builds the requests of every document; the name is lm-eval's."""
        if self.WITHHELD:
            options["cache_requests"] = options["rewrite_requests_cache"] = False
        super().build_all_requests(**options)

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **options: Any) -> list[Instance]:
        """One request a pair; the name is lm-eval's, and its context is not ours."""
        return [
            Instance(
                request_type="loglikelihood", doc=doc, arguments=pair, idx=number, metadata=options.get("metadata")
            )
            for number, pair in enumerate(self.continuations(doc))
        ]

    def apply_filters(self) -> list[Instance] | None:
        """Runs after the model has answered and before lm-eval makes its samples: the last place where texts are needed."""
        found: list[Instance] | None = super().apply_filters()
        if self.WITHHELD:
            for instance in self._instances:
                instance.arguments = tuple(digest(text) for text in instance.arguments)
        return found
