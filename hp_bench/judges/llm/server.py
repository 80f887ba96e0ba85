"""A judge behind any OpenAI-compatible server: a vLLM or llama.cpp server of your own, or a closed API. `unlearn.chat` asks it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearn import chat
from unlearn.chat import Asking, Keep


@dataclass(frozen=True)
class Endpoint(chat.Endpoint):
    """A served language model, as a judge."""

    max_tokens: int = 1024
    _prefix: ClassVar[str] = "judge_"

    @property
    def name(self) -> str:
        """Kind and model, for tables."""
        return f"endpoint:{self.model}"

    @property
    def settings(self) -> Mapping[str, object]:
        """What else could change a reply, so part of the judge's identity: the temperature."""
        return {"temperature": self.temperature}

    @property
    def where(self) -> str:
        """The server's address; "" for a local model."""
        return self.base_url.rstrip("/")

    def specials(self) -> Sequence[str]:
        """Special tokens, which no text between the markers may hold. Unknown: the tokenizer is the server's."""
        return ()

    def ask(self, questions: Sequence[str], keep: Keep) -> dict[int, str]:
        """Asks `concurrency` questions at a time and hands each reply to `keep` as it comes; by number, why the others have none."""
        return Asking(self, keep, description="judging").all(questions)
