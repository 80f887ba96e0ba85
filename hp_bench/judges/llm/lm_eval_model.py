"""Any of lm-eval's models as a judge: hf, vllm, local-chat-completions, openai-chat-completions, anthropic-chat-completions, ..."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hp_bench.progress import quiet_host
from unlearn.chat import Keep, Reply
from unlearn.progress import progress_row

log = logging.getLogger(__name__)

#: Arguments that decide how fast a model answers, not what.
_OPERATIONAL = {
    "pretrained", "model", "base_url", "device", "batch_size", "max_batch_size", "num_concurrent", "max_retries", "timeout",
    "gpu_memory_utilization", "tensor_parallel_size", "data_parallel_size", "enforce_eager", "parallelize", "tokenizer_backend",
    "verify_certificate", "ca_cert_path", "swap_space", "max_num_seqs",
}  # fmt: skip

_CHUNK = 32  # questions between two writes to the cache
_PATIENCE = 3  # questions in a row that fail alone


class HostModel:
    """A model that lm-eval runs, by its name of the class and its `model_args`; loaded with the first question. Replies are at most
    `max_tokens` long. Attributes are those of `hp_bench.judges.llm.server.Endpoint`.

    Raises ValueError: lm-eval has no such kind, or the arguments name no model.
    """

    def __init__(self, kind: str, arguments: Mapping[str, Any], *, max_tokens: int = 1024) -> None:
        from lm_eval.api.registry import get_model

        from hp_bench.engines.fingerprint import fingerprint

        self._class = get_model(kind)
        model = arguments.get("pretrained") or arguments.get("model")
        if not model:
            raise ValueError(f"judge={kind} needs judge_pretrained=MODEL (or judge_model=NAME, if it is served)")
        self.kind, self.max_tokens = kind, max_tokens
        folder = Path(str(model)).is_dir()
        self.name = f"{kind}:{Path(str(model)).resolve().name if folder else model}"
        self.where = str(arguments.get("base_url", ""))
        self._arguments = dict(arguments)
        self.settings: Mapping[str, object] = {
            "weights": fingerprint(str(model)) if "pretrained" in arguments else "",
            **{name: str(value) for name, value in arguments.items() if name not in _OPERATIONAL},
        }

    @cached_property
    def _lm(self) -> Any:
        log.info("loading the judge %s", self.name)
        with quiet_host():
            return self._class.create_from_arg_obj(_defaults(self.kind) | self._arguments)

    def specials(self) -> Sequence[str]:
        """Special tokens of its tokenizer, the longest first."""
        tokens = getattr(getattr(self._lm, "tokenizer", None), "all_special_tokens", None) or []
        return sorted({str(token) for token in tokens}, key=lambda token: (-len(token), token))

    def ask(self, questions: Sequence[str], keep: Keep) -> dict[int, str]:
        """As `Endpoint.ask`, in portions; one that breaks off is asked one by one, so that one bad question costs no other its answer."""
        failures = {number: problem for number, text in enumerate(questions) if (problem := self._too_long(text))}
        fitting = [number for number in range(len(questions)) if number not in failures]
        in_a_row = 0
        with progress_row("judging", len(fitting)) as advance:
            for start in range(0, len(fitting), _CHUNK):
                portion = fitting[start : start + _CHUNK]
                for number, problem in self._portion(portion, questions, keep).items():
                    if in_a_row >= _PATIENCE:
                        failures[number] = f"not asked any more after: {problem}"
                        continue
                    alone = self._portion([number], questions, keep)
                    in_a_row = in_a_row + 1 if alone else 0
                    failures.update(alone)
                advance(len(portion))
        return failures

    def _portion(self, numbers: Sequence[int], questions: Sequence[str], keep: Keep) -> dict[int, str]:
        """Asks some questions at once; which have no reply, and why. An empty reply of a server is none."""
        from lm_eval.api.instance import Instance
        from lm_eval.models.api_models import LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER

        how = {"do_sample": False, "temperature": 0.0, "max_gen_toks": self.max_tokens, "until": []}
        asked = [(number, self._context(questions[number])) for number in numbers]
        requests = [Instance("generate_until", {}, (context, dict(how)), number) for number, context in asked]
        try:
            with quiet_host():
                texts = self._lm.generate_until(requests)
        except Exception as error:  # whatever a model or a server may die of: counted, never a grade
            return dict.fromkeys(numbers, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        if len(texts) != len(numbers):
            return dict.fromkeys(numbers, f"{len(texts)} replies to {len(numbers)} questions")
        void = {"", None, LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER} if self.where else set()
        for number, text in zip(numbers, texts, strict=True):
            if text not in void:
                keep(number, Reply(str(text), (self._tokens(str(text)) or 0) >= self.max_tokens - 1))
        return {number: "the reply is empty" for number, text in zip(numbers, texts, strict=True) if text in void}

    def _context(self, question: str) -> str:
        """The question as the model wants it: by its chat template, by its server's, or as it stands for a model without one."""
        from lm_eval.models.openai_completions import LocalChatCompletion

        templated = getattr(getattr(self._lm, "tokenizer", None), "chat_template", None)
        if templated or isinstance(self._lm, LocalChatCompletion) or "chat" in self.kind:
            return self._lm.apply_chat_template([{"role": "user", "content": question}])
        return question

    def _tokens(self, text: str) -> int | None:
        """Tokens of a text; None where lm-eval does not know them (a server's)."""
        tokenizer = getattr(self._lm, "tokenizer", None)
        if self.where or tokenizer is None:
            return None
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    def _too_long(self, question: str) -> str:
        """lm-eval would cut the question's beginning off, and with it the rubric."""
        tokens, longest = self._tokens(self._context(question)), getattr(self._lm, "max_length", None)
        if tokens is None or longest is None or tokens + self.max_tokens < longest:
            return ""
        return f"question and reply need {tokens} + {self.max_tokens} tokens, the judge holds {longest}; judge_max_tokens sets the second"


def _defaults(kind: str) -> dict[str, Any]:
    """lm-eval's own would take one prompt at a time."""
    if kind.endswith("completions"):
        tokens = {"tokenizer_backend": None, "tokenized_requests": False}
        return {"num_concurrent": 8, "max_retries": 6, "timeout": 120, **tokens}
    if kind == "vllm":
        return {"batch_size": "auto"}
    if kind.startswith("hf"):
        from hp_bench.engines.hf import resolve_device

        return {"batch_size": 8, "device": resolve_device("auto")}
    return {}
