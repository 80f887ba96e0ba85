"""An OpenAI-compatible completions server as an engine: vLLM, SGLang, TGI, llama.cpp, ... by lm-eval's local-completions.

Log-likelihoods need a server that echoes the prompt with its log-probabilities (`echo`, `logprobs`): vLLM does, OpenAI's own does not.
The tokenizer must be the model's: it says where a prompt ends and its continuation begins.
"""

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import aiohttp
import requests
from lm_eval.models.openai_completions import LocalCompletionsAPI
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, wait_exponential
from transformers import AutoConfig

from hp_bench.engines import NeedsAnotherEngine, fit
from hp_bench.engines.loading import first_line, load_tokenizer
from hp_bench.engines.source import Source
from hp_bench.engines.texts import NO_TEXT, said, special_markers
from hp_bench.progress import quiet_host

log = logging.getLogger(__name__)

#: Servers that take a model's generation_config.json for the defaults of every request, and let a request say otherwise of penalties.
_FOLLOW = ("vllm", "sglang")

#: Seconds: for the list of models, and for the first token, before which a server may load its model.
_TIMEOUT, _LOADING = 30, 300


class EndpointEngine:
    """A model behind an address.

    Args:
        model: http(s)://host:port/v1, or with #name where the server offers several models.
        tokenizer: folder or hub id; default: what the server says its model is (vLLM does).
        base, device, dtype: the server's business: none, auto and auto.
        batch_size: prompts a request.
        options: further arguments of lm-eval's local-completions (num_concurrent, max_retries, timeout, ...).

    Raises ValueError: the server does not answer, offers no such model, or no tokenizer was found.
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
        served = require_server(self.model)
        named = tokenizer or str(served.get("root") or served["id"])
        try:
            words = load_tokenizer(Source(named), named)
        except ValueError as error:
            raise ValueError(f"{error}; name the tokenizer of the model behind {self.model!r} (--tokenizer)") from None
        fit.require_tokenizer(words, self.model)
        length = int(served.get("max_model_len") or 2048)
        with quiet_host(logging.ERROR):
            self.lm = _Completions(
                model=str(served["id"]), base_url=f"{served['address']}/completions", tokenizer=named, tokenizer_backend="huggingface",
                add_bos_token=True,  # what the tokenizer adds by itself, as in the other engines
                max_length=length, batch_size=batch_size or 16, **options,
            )  # fmt: skip
        self.lm.neutral = {"frequency_penalty": 0, "presence_penalty": 0}
        if served.get("owned_by") in _FOLLOW:
            self.lm.neutral |= {"repetition_penalty": 1.0}
            if special_markers(words):
                self.lm.neutral["skip_special_tokens"] = False
        self.lm.findings = _findings(named, words)

    def swap(self, checkpoint: Path | str) -> None:
        """An endpoint serves what it serves."""
        raise NeedsAnotherEngine(f"{self.model!r} cannot take the weights of {str(checkpoint)!r}")

    def close(self) -> None:
        """Nothing is held."""


class _Completions(fit.Examined, LocalCompletionsAPI):
    """lm-eval's client, less its ways of turning a failure into an answer.

    A request that fails as often as lm-eval retries it leaves its prompts unscored, with the reason.
    """

    neutral: Mapping[str, Any] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._tries: Counter[int] = Counter()  # of the requests under way, how often each has failed

    def model_call(self, messages: Any, **options: Any) -> Any:
        """The server's answer."""
        with self._told(messages) as failure:
            return super().model_call(messages, **options)
        return failure

    async def amodel_call(self, session: Any, sem: Any, messages: Any, *, generate: bool = True, **options: Any) -> Any:
        """Texts or log-likelihoods, several requests at a time."""
        with self._told(messages) as failure:
            return await super().amodel_call(session, sem, messages, generate=generate, **options)
        return (self.parse_generations if generate else self.parse_logprobs)(failure, tokens=messages)

    @contextmanager
    def _told(self, messages: Any) -> Iterator[dict[str, str]]:
        """Raises what a call raises in one sentence, or, the last time that lm-eval tries, fills in why there is no answer."""
        failure: dict[str, str] = {}
        try:
            yield failure
        except (requests.RequestException, aiohttp.ClientError, json.JSONDecodeError, TimeoutError) as error:
            why = problem(self.base_url, error)
            self._tries[id(messages)] += 1
            if self._tries[id(messages)] < self.max_retries:
                raise ValueError(why) from None
            failure["failed"] = why
        self._tries.pop(id(messages), None)

    def tok_encode(self, string: Any, *arguments: Any, **options: Any) -> Any:
        """Token numbers; the first token of a text, where a chat template has written it too, once, as in the other engines."""
        found, first = super().tok_encode(string, *arguments, **options), self.tokenizer.bos_token_id
        whole = [found] if isinstance(string, str) else found
        once = [ids[1:] if first is not None and ids[:2] == [first, first] else ids for ids in whole]
        return once[0] if isinstance(string, str) else once

    def parse_generations(self, outputs: Any, **_: Any) -> list[str]:
        """Texts, by the order of the prompts; in place of one that is none, or was cut short, why."""
        prompts, tokens, given = _asked.get()
        if why := _failed(outputs):
            return [f"{NO_TEXT}{why}"] * prompts
        choices = self._choices(outputs)
        none = f"{NO_TEXT}{self.base_url!r} answers without a completion of it (choices: {len(choices)})"
        texts = [said(choices[n]) if n in choices else none for n in range(prompts)]
        lengths = [len(self.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        ended = [n for n in range(prompts) if choices.get(n, {}).get("finish_reason") == "length"]
        # if each of these had all its tokens, so many were said; a loop of blanks has fewer when it is read again
        due = tokens * len(ended) + sum(length + 1 for n, length in enumerate(lengths) if n not in ended)
        usage = outputs.get("usage") or {}
        if int(usage.get("prompt_tokens") or given) < given and _CUTS not in self.findings:
            self.findings.append(_CUTS)
        if int(usage.get("completion_tokens") or 0) < due:
            for n in ended:
                if lengths[n] < _WHOLE * tokens and not texts[n].startswith(NO_TEXT):
                    texts[n] = f"{NO_TEXT}the server cut it short of the {tokens} tokens asked for; raise its limit"
        return texts

    def parse_logprobs(
        self, outputs: Any, tokens: list[list[int]] | None = None, ctxlens: list[int] | None = None, **options: Any
    ) -> list[tuple[float, bool]]:
        """Log-likelihoods, if the server echoed every token of the prompt: of a shorter answer lm-eval would make the likelihood 1."""
        answer = outputs[0] if isinstance(outputs, list) and len(outputs) == 1 else outputs
        if why := _failed(answer):
            self.findings.append(f"{len(tokens or ())} log-likelihoods are unscored: {why}")
            return [fit.LOST_LIKELIHOOD for _ in tokens or ()]
        choices = self._choices(answer)
        if tokens is None or len(choices) != len(tokens):
            raise ValueError(f"{self.base_url!r} gives {len(choices)} answers to {len(tokens or ())} prompts")
        for n, ids in enumerate(tokens):
            echoed = len((choices[n].get("logprobs") or {}).get("token_logprobs") or ())
            if echoed != len(ids) + 1:
                raise ValueError(
                    f"{self.base_url!r} gives {echoed} log-probabilities for a prompt of {len(ids)} tokens and one more: it does not echo "
                    "the prompt, or has another tokenizer than the one named"
                )
        ordered = {"choices": [{**choices[n], "index": n} for n in range(len(tokens))]}
        return list(LocalCompletionsAPI.parse_logprobs(ordered, tokens=tokens, ctxlens=ctxlens, **options))

    def _create_payload(self, messages: Any, generate: bool = False, gen_kwargs: Any = None, **options: Any) -> Any:
        """The request, without lm-eval's fixed seed where samples are asked for: with it, all samples of a prompt would be one."""
        payload = super()._create_payload(messages, generate=generate, gen_kwargs=gen_kwargs, **options)
        _asked.set((len(messages), payload["max_tokens"], sum(map(len, messages))))
        if generate and payload["temperature"] > 0:
            del payload["seed"]
        return {**self.neutral, **payload} if generate else payload

    def _choices(self, answer: Any) -> dict[int, Mapping[str, Any]]:
        """What a server answers to each prompt, by its place."""
        require_completion(self.base_url, answer)
        ordered = sorted(answer["choices"], key=lambda choice: int(choice.get("index") or 0))
        whole = len(ordered) == _asked.get()[0]
        return dict(enumerate(ordered)) if whole else {int(one.get("index") or 0): one for one in ordered}


def _failed(answer: Any) -> str:
    return str(answer.get("failed", "")) if isinstance(answer, dict) else ""


#: Prompts in the request under way, new tokens of each, tokens of all prompts; every request of lm-eval's runs in a context of its own.
_asked: ContextVar[tuple[int, int, int]] = ContextVar("_asked", default=(0, 0, 0))

_CUTS = "its server counts fewer tokens of a prompt than it was sent: look whether it cuts prompts (its context may be set too small)"

#: An answer that the server's limit has ended, with a smaller share than this of the tokens asked for, was cut short.
_WHOLE = 0.9


def require_completion(address: str, answer: Any, *, least: int = 0) -> None:
    """Raises ValueError unless a server's answer is one to a request for completions, whatever its status said, with so many of them."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if isinstance(choices, list) and len(choices) >= least and all(isinstance(choice, dict) for choice in choices):
        return
    failed = isinstance(answer, dict) and "error" in answer
    told = answer["error"] if failed else answer
    told = told.get("message", told) if isinstance(told, dict) else told
    what = "an error" if failed else f"a JSON {'object' if isinstance(answer, dict) else type(answer).__name__}"
    raise ValueError(
        f"{address!r} answers with {what} in place of a completion: {first_line(ValueError(told))}; look at the address, and at the "
        "server's log"
    )


#: Status -> what to do.
_ADVICE = {
    **dict.fromkeys((401, 403), "it wants a key: set OPENAI_API_KEY"),
    404: "nothing is there: the address is that of the server up to /v1, such as http://localhost:8000/v1",
    429: "it is asked too often: run the same again later, with fewer requests at a time (--engine-arg num_concurrent=1)",
}


def problem(address: str, error: Exception) -> str:
    """What is wrong with a server that gave no answer, and what to do, in a sentence."""
    if isinstance(error, requests.JSONDecodeError | json.JSONDecodeError | aiohttp.ContentTypeError):
        return (
            f"{address!r} answers with something that is no JSON, such as a web page: no completions server is there; look at the address, "
            "and at what stands between"
        )
    answer = getattr(error, "response", None)  # of requests; aiohttp has all in the error
    status, what = (answer.status_code, answer.reason) if answer is not None else (getattr(error, "status", 0), "")
    if status:
        fails = "the server, or a gateway before it, fails: look at its log, and run the same again when it is up"
        advice = _ADVICE.get(status, fails if status >= 500 else "look at the server's log")
        return f"{address!r} answers {status} {what or getattr(error, 'message', '')}: {advice}"
    if isinstance(error, requests.Timeout | TimeoutError):
        return f"{address!r} does not answer in time: it is busy or down; --engine-arg timeout=SECONDS waits longer"
    return f"no completions server answers at {address!r}: is it running, and is the address right?"


def _findings(named: str, words: Any) -> list[str]:
    """What the files beside the tokenizer say of the model: the server may decode by it. Raises ValueError: it does not continue texts."""
    try:
        config = AutoConfig.from_pretrained(named)
    except Exception:  # checks of configs have errors of their own
        return []  # a tokenizer alone
    fit.require_decoder(config, named)
    held, file = fit.own_settings(fit.stored_settings(Source(named)), words), fit.settings_file(named)
    return [f"its server may follow its {file} ({held}); a request can only undo penalties"] if held else []


def require_server(model: str) -> dict[str, Any]:
    """Asks a server for its models, and for one token; returns its entry for the model wanted, or for the one that it lists first.

    Raises ValueError: it is not there, or does not answer as a completions server does; the sentence names the address.
    """
    address, _, wanted = model.partition("#")
    address = address.rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"endpoint {model!r} is no address: write http://host:port/v1")
    if address.endswith("/chat/completions"):
        raise ValueError(
            f"{address!r} is the address of chats, and hp-bench asks for completions: write {address.removesuffix('/chat/completions')!r}; "
            "the task hp_familiarity_chat puts the model's chat template around each prompt itself"
        )
    address = address.removesuffix("/completions")
    listed = _json_of(f"{address}/models", requests.get)
    entries = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(entries, list):
        raise ValueError(
            f"no completions server is at {address!r}: {address}/models gives no list of models; look at the address, and at what stands "
            "between (a login page?)"
        )
    offered = [entry for entry in entries if isinstance(entry, dict) and "id" in entry]
    chosen = [entry for entry in offered if not wanted or entry["id"] == wanted]
    if not chosen:
        names = ", ".join(repr(entry["id"]) for entry in offered) or "none"
        raise ValueError(f"{address!r} serves no model {wanted!r}; it serves {names}")
    trial = {"model": chosen[0]["id"], "prompt": [[1]], "max_tokens": 1, "temperature": 0}
    answer = _json_of(f"{address}/completions", requests.post, json=trial, timeout=_LOADING)
    require_completion(f"{address}/completions", answer, least=1)
    return {**chosen[0], "address": address}


def _json_of(address: str, ask: Callable[..., requests.Response], *, timeout: int = _TIMEOUT, **content: Any) -> Any:
    """What a server answers. One that is asked too often, or still loads its model, is asked again, with lm-eval's pauses."""
    headers = {"Authorization": f"Bearer {key}"} if (key := os.environ.get("OPENAI_API_KEY")) else {}

    def told(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome:
            log.warning("%r answers %s: asking it again for a minute", address, state.outcome.result().status_code)

    patient = Retrying(
        retry=retry_if_result(lambda answer: answer.status_code in (429, 503)), stop=stop_after_attempt(10),
        wait=wait_exponential(0.5, 10, min=1), before_sleep=told, retry_error_callback=lambda s: s.outcome and s.outcome.result(),
    )  # fmt: skip
    try:
        answer = patient(ask, address, headers=headers, timeout=timeout, **content)
        answer.raise_for_status()
        return answer.json()
    except requests.RequestException as error:
        raise ValueError(problem(address, error)) from None
