"""A task that asks for the log-likelihoods of continuations after contexts of its own choice, several a document."""

from abc import abstractmethod
from typing import Any

from lm_eval.api.instance import Instance

from hp_bench.harness.packaged import LikelihoodTask


class ContinuationTask(LikelihoodTask):
    """Base of the tasks whose contexts differ within a document."""

    @abstractmethod
    def continuations(self, doc: dict[str, Any]) -> list[tuple[str, str]]:
        """(context, continuation) pairs of a document; a continuation begins with the white space before its first word."""

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **options: Any) -> list[Instance]:
        """One request a pair; the name is lm-eval's, and its context is not ours."""
        return [
            Instance(
                request_type="loglikelihood", doc=doc, arguments=pair, idx=number, metadata=options.get("metadata")
            )
            for number, pair in enumerate(self.continuations(doc))
        ]
