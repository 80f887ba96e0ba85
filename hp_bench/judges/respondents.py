"""What a language-model judge is asked through: a server (`endpoint`) or one of lm-eval's models (`host_model`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from hp_bench.judges.cache import Reply

#: Called with the number of a question and its reply as soon as it is there.
Keep = Callable[[int, Reply], None]


class Respondent(Protocol):
    """A language model that answers questions.

    Attributes:
        name: kind and model, for tables: "endpoint:gpt-4o".
        settings: what else could change an answer; part of the judge's identity.
        where: address of its server; "" for a local model.
        max_tokens: longest reply, in tokens.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def settings(self) -> Mapping[str, object]: ...  # noqa: D102

    @property
    def where(self) -> str: ...  # noqa: D102

    @property
    def max_tokens(self) -> int: ...  # noqa: D102

    def specials(self) -> Sequence[str]:
        """Special tokens of its tokenizer, if known: no text between the markers may hold one."""
        ...

    def ask(self, questions: Sequence[str], keep: Keep) -> dict[int, str]:
        """Asks everything and hands every reply to `keep` as it comes.

        Returns:
            Why the others have none, by number; together with what was kept, every question once.
        """
        ...
