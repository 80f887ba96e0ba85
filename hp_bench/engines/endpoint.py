"""An OpenAI-compatible completions server as an engine: vLLM, SGLang, TGI, llama.cpp, ... by lm-eval's local-completions.

Log-likelihoods need a server that echoes the prompt with its log-probabilities (`echo`, `logprobs`): vLLM does, OpenAI's own does not.
The tokenizer must be the model's: it says where a prompt ends and its continuation begins.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import requests
from lm_eval.models.openai_completions import LocalCompletionsAPI
from transformers import AutoConfig

from hp_bench.engines import NeedsAnotherEngine
from hp_bench.engines.fit import NO_TEXT, Examined, own_settings, require_decoder, require_tokenizer, stored_settings
from hp_bench.engines.loading import first_line, load_tokenizer
from hp_bench.engines.source import Source
from hp_bench.progress import quiet_host

#: Servers that take a model's generation_config.json for the defaults of every request, and let a request say otherwise of penalties.
_FOLLOW = ("vllm", "sglang")

_TIMEOUT = 30


class EndpointEngine:
    """A model behind an address.

    Args:
        model: http(s)://host:port/v1, or with #name where the server offers several models.
        tokenizer: folder or hub id; default: what the server says its model is (vLLM does).
        base, device, dtype: the server's business: none, auto and auto.
        batch_size: prompts a request.
        options: further arguments of lm-eval's local-completions (num_concurrent, max_retries, timeout, ...).

    Raises:
        ValueError: the server does not answer, offers no such model, or no tokenizer was found.
    """

    name = "endpoint"
    stored = False
    base = None

    def __init__(
        self,
        model: str | Path,
        *,
        tokenizer: str | None = None,
        base: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | None = None,
        **options: Any,
    ) -> None:
        if base or device != "auto" or dtype != "auto":
            raise ValueError("base, device and dtype are the server's own: leave them out for an endpoint")
        self.model = str(model)
        self.dtype = ""
        address, _, wanted = self.model.partition("#")
        address = address.rstrip("/").removesuffix("/completions")
        if not address.startswith(("http://", "https://")):
            raise ValueError(f"endpoint {self.model!r} is no address: write http://host:port/v1")
        served = _served(address, wanted)
        named = tokenizer or str(served.get("root") or served["id"])
        try:
            words = load_tokenizer(Source(named), named)
        except ValueError as error:
            raise ValueError(f"{error}; name the tokenizer of the model behind {self.model!r} (--tokenizer)") from None
        require_tokenizer(words, self.model)
        length = int(served.get("max_model_len") or 2048)
        with quiet_host(logging.ERROR):
            self.lm = _Completions(
                model=str(served["id"]), base_url=f"{address}/completions", tokenizer=named, tokenizer_backend="huggingface",
                add_bos_token=True,  # what the tokenizer adds by itself, as in the other engines
                max_length=length, batch_size=batch_size or 16, **options,
            )  # fmt: skip
        self.lm.neutral = {"frequency_penalty": 0, "presence_penalty": 0}
        if served.get("owned_by") in _FOLLOW:
            self.lm.neutral |= {"repetition_penalty": 1.0}
        self.lm.findings = _findings(named, words)

    def swap(self, checkpoint: Path | str) -> None:
        """An endpoint serves what it serves."""
        raise NeedsAnotherEngine(f"{self.model!r} cannot take the weights of {str(checkpoint)!r}")

    def close(self) -> None:
        """Nothing is held."""


class _Completions(Examined, LocalCompletionsAPI):
    """lm-eval's client, less its ways of turning a failure into an answer."""

    neutral: Mapping[str, Any] = {}

    def model_call(self, *arguments: Any, **options: Any) -> Any:
        """The server's answer. Raises ValueError: it is no JSON."""
        try:
            return super().model_call(*arguments, **options)
        except requests.JSONDecodeError:
            raise self._no_json() from None

    async def amodel_call(self, *arguments: Any, **options: Any) -> Any:
        """The same, several at a time."""
        try:
            return await super().amodel_call(*arguments, **options)
        except (json.JSONDecodeError, aiohttp.ContentTypeError):
            raise self._no_json() from None

    def parse_generations(self, outputs: Any, **options: Any) -> list[str]:
        """Texts, by the order of the prompts; in place of one that is none, why."""
        texts = []
        for answer in self._answers(outputs):
            for choice in sorted(answer["choices"], key=lambda choice: int(choice["index"])):
                if choice.get("finish_reason") == "content_filter":
                    texts.append(f"{NO_TEXT}the server's filter held the text back")
                else:
                    texts.append(f"{NO_TEXT}the server returned no text" if choice["text"] is None else choice["text"])
        return texts

    def parse_logprobs(
        self, outputs: Any, tokens: list[list[int]] | None = None, ctxlens: list[int] | None = None, **options: Any
    ) -> list[tuple[float, bool]]:
        """Log-likelihoods, if the server echoed every token of the prompt: of a shorter answer lm-eval would make the likelihood 1."""
        answers = self._answers(outputs)
        choices = [choice for answer in answers for choice in sorted(answer["choices"], key=lambda c: int(c["index"]))]
        if tokens is None or len(choices) != len(tokens):
            raise ValueError(f"the server gave {len(choices)} answers to {len(tokens or ())} prompts")
        for choice, ids in zip(choices, tokens, strict=True):
            echoed = len((choice.get("logprobs") or {}).get("token_logprobs") or ())
            if echoed != len(ids) + 1:
                raise ValueError(
                    f"the server gave {echoed} log-probabilities for a prompt of {len(ids)} tokens and one more: it does not echo the "
                    "prompt, or has another tokenizer than the one named"
                )
        return list(LocalCompletionsAPI.parse_logprobs(outputs, tokens=tokens, ctxlens=ctxlens, **options))

    def _create_payload(self, messages: Any, generate: bool = False, gen_kwargs: Any = None, **options: Any) -> Any:
        """The request, without lm-eval's fixed seed where samples are asked for: with it, all samples of a prompt would be one."""
        payload = super()._create_payload(messages, generate=generate, gen_kwargs=gen_kwargs, **options)
        if generate and payload["temperature"] > 0:
            del payload["seed"]
        return {**self.neutral, **payload} if generate else payload

    def _answers(self, outputs: Any) -> list[Any]:
        """The server's answers. Raises ValueError: one is an error under the status of a success."""
        answers = outputs if isinstance(outputs, list) else [outputs]
        for answer in answers:
            if "choices" not in answer:
                said = answer.get("error", answer) if isinstance(answer, dict) else answer
                told = said.get("message", said) if isinstance(said, dict) else said
                raise ValueError(
                    f"{self.base_url!r} answers with an error in place of a completion: {first_line(ValueError(told))}"
                )
        return answers

    def _no_json(self) -> ValueError:
        return ValueError(
            f"{self.base_url!r} answers with something that is no JSON, such as a web page: no completions server is there; "
            "look at the address, and at what stands between"
        )


def _findings(named: str, words: Any) -> list[str]:
    """What the files beside the tokenizer say of the model: the server may decode by it.

    Raises ValueError: it is no model that continues texts.
    """
    source = Source(named)
    try:
        config = AutoConfig.from_pretrained(named)
    except (OSError, ValueError, KeyError):
        return []  # a tokenizer alone
    require_decoder(config, named)
    held = own_settings(stored_settings(source), words)
    if not held:
        return []
    return [f"its server may follow its generation_config.json ({held}); of that, a request can only undo penalties"]


def _served(address: str, wanted: str) -> dict[str, Any]:
    """The server's entry for the model wanted, or for the only one that is offered first."""
    key = os.environ.get("OPENAI_API_KEY", "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = requests.get(f"{address}/models", headers=headers, timeout=_TIMEOUT)
        answer.raise_for_status()
        offered = [entry for entry in answer.json()["data"] if "id" in entry]
    except (requests.JSONDecodeError, KeyError, TypeError):
        raise ValueError(
            f"no completions server is at {address!r}: {address}/models gives no list of models; look at the address, and at what stands "
            "between (a login page?)"
        ) from None
    except requests.ConnectionError:
        raise ValueError(
            f"no completions server answers at {address!r}: is it running, and is the address right?"
        ) from None
    except (requests.RequestException, ValueError) as error:
        raise ValueError(f"no completions server answers at {address!r}: {first_line(error)}") from None
    chosen = [entry for entry in offered if not wanted or entry["id"] == wanted]
    if not chosen:
        names = ", ".join(repr(entry["id"]) for entry in offered) or "none"
        raise ValueError(f"{address!r} serves no model {wanted!r}; it serves {names}")
    return dict(chosen[0])
