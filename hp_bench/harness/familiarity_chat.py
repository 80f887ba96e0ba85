"""`hp_familiarity_chat`: the completion-based familiarity test for chat models, a test of its own. Lower = less familiar.

The paper's models are chat models. The prompt is the user's turn, unchanged; the tokenizer's chat template makes the model's input of it.
The answer is something else than a continuation, so these scores stand beside those of `hp_familiarity` and are never compared with them.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Any

from jinja2 import TemplateError

from hp_bench.harness.familiarity import FamiliarityTask
from hp_bench.harness.packaged import model_to_be_asked

#: As said of a server that holds the template itself.
_SERVERS_OWN = "the server's own"


class ChatFamiliarityTask(FamiliarityTask):
    """The familiarity test through a chat template.

    With `--apply_chat_template` lm-eval hands over the model's template; without it, that of the model which is about to be asked is taken.
    The digest of the template's text, with the arguments that steer it and the system instruction, is recorded as `chat_template`.

    Raises ValueError: the model has no chat template, or no model is known. Before anything is generated.
    """

    CHAT = True
    ENDED = None  # an answer has several paragraphs and is judged whole, to the token limit

    def build_all_requests(self, **options: Any) -> None:
        """Finds the template, then builds one request a prompt; the name is lm-eval's."""
        given = options.get("chat_template") if options.get("apply_chat_template") else None
        self._render: Any = given or getattr(model_to_be_asked(), "apply_chat_template", None)
        if self._render is None:
            raise ValueError(
                f"{self.config.task} was not told which model it is for: run it with --apply_chat_template"
            )
        template, arguments = _of_model(self._render)
        if not template:
            raise ValueError(
                f"{self.config.task} needs a chat template and the model's tokenizer has none: use hp_familiarity, the test on raw text"
            )
        instruction = options.get("system_instruction") or ""
        self.config.metadata["chat_template"] = digest(template, arguments, instruction)
        super().build_all_requests(**options)

    def turns(self, prompt: str) -> list[dict[str, str]]:
        """What has been said before the answer, as messages."""
        return [{"role": "user", "content": prompt}]

    def fewshot_context(self, doc: dict[str, Any], *_: Any, **options: Any) -> Any:
        """The model's input: the prompt as the user's turn, and the beginning of the assistant's."""
        instruction = options.get("system_instruction")
        system = [{"role": "system", "content": str(instruction)}] if instruction else []
        try:
            return self._render([*system, *self.turns(doc["prompt"])])
        except TemplateError as error:
            where = "chat_template.jinja, or chat_template in tokenizer_config.json"
            raise ValueError(f"{self.config.task}: the model's chat template ({where}) fails: {error}") from None


class TwoTurnsTask(ChatFamiliarityTask):
    """`hp_two_turns`: the second answer of a conversation, whose first answer is part of the prompt file and the same for every model.

    A prompt is the whole conversation, `User: ...`, `Assistant: ...`, `User: ...`, one line each, so that what it tells never counts.
    """

    PROMPTS = "two_turns.jsonl"

    def turns(self, prompt: str) -> list[dict[str, str]]:
        """The conversation as messages. Raises ValueError: a line is no turn, or the turns do not alternate and end with the user's."""
        messages = [
            {"role": speaker.lower(), "content": said}
            for speaker, _, said in (line.partition(": ") for line in prompt.splitlines())
        ]
        if len(messages) % 2 == 0 or any(
            message["role"] != role for message, role in zip(messages, cycle(("user", "assistant")), strict=False)
        ):
            raise ValueError(
                f"{self.config.task}: {prompt!r} is no conversation: its lines must begin with 'User: ' and 'Assistant: ' in turn, "
                "the first and the last with 'User: '"
            )
        return messages


def digest(template: str, arguments: Mapping[str, Any], instruction: str) -> str:
    """Digest of all that makes the model's input of a prompt; the same for every engine."""
    steering = {
        name: value for name, value in arguments.items() if not (name == "enable_thinking" and value in (None, True))
    }
    return hashlib.sha256(json.dumps([template, steering, instruction], sort_keys=True).encode()).hexdigest()[:16]


def _of_model(render: Callable[..., Any]) -> tuple[str, Mapping[str, Any]]:
    """Of the model whose `apply_chat_template` this is: the template's text (of several the one called default), and its arguments."""
    model = getattr(render, "__self__", None)
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        return _SERVERS_OWN, {}
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, Mapping):
        template = template.get("default", "")
    thinking = {"enable_thinking": getattr(model, "enable_thinking", None)}
    return str(template or ""), {**(getattr(model, "chat_template_args", None) or {}), **thinking}
