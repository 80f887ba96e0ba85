"""Texts on their way from a model through lm-eval: one that is missing, and one before which the model thinks.

A model is taken to think first if its prompt ends with a marker that opens a trace (a chat template writes it), or its completion begins
with one. Then it is asked again, with tokens for the trace beside those of the answer. A model that shows no such sign is asked once.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest import mock

from lm_eval.api.instance import Instance
from transformers import PreTrainedTokenizerBase

from hp_bench.text.completion import MARKERS, opened, parts, thinks, with_opening

#: Begins what stands for a text that an engine did not return, on its way through lm-eval, which knows only texts; the reason follows.
NO_TEXT = "\0"

#: Tokens for a trace of thoughts where the metadata says nothing of `thinking_tokens`.
THINKING_TOKENS = 2048

#: Words of an answer, a token, where the server's tokenizer is not known; about as in English.
_WORDS_A_TOKEN = 0.75


def let_think(requests: Sequence[Instance], tokens: int | None) -> None:
    """Gives requests tokens for a trace of thoughts, beside those of the answer; None: `THINKING_TOKENS`."""
    for request in requests:
        vars(request)["thinking_tokens"] = tokens


_Generate = Callable[[list[Instance]], Sequence[str | None]]


def completions(lm: Any, generate: _Generate, requests: Sequence[Instance]) -> list[str]:
    """The texts of a model of lm-eval, each as its trace of thoughts, with both markers, and its answer.

    Requests that `let_think` was not called for are left as they are to `generate`, the model's own way from requests to texts.

    Returns:
        By the order of the requests. An answer after a trace has as many tokens as the task allows, and no more. A trace that does not end
        is `NO_TEXT` and the reason.
    """
    ours = [n for n, request in enumerate(requests) if "thinking_tokens" in vars(request)]
    others = [n for n in range(len(requests)) if n not in set(ours)]
    texts = dict(zip(others, _texts(generate, [requests[n] for n in others]), strict=True))
    if ours:
        with _unabridged(lm):
            tokenizer = getattr(lm, "tokenizer", None)
            asking = _Asking(lm, tokenizer if isinstance(tokenizer, PreTrainedTokenizerBase) else None, generate)
            texts |= zip(ours, asking.answers([requests[n] for n in ours]), strict=True)
    return [texts[n] for n in range(len(requests))]


def _texts(generate: _Generate, requests: list[Instance]) -> list[str]:
    found = generate(requests) if requests else ()
    return [f"{NO_TEXT}the engine returned nothing" if text is None else text for text in found]


def seen(requests: Sequence[Instance], texts: Sequence[str]) -> list[str]:
    """A finding for every task in which the model thinks first."""
    asked = Counter(request.task_name for request in requests)
    ours = ((one, text) for one, text in zip(requests, texts, strict=True) if "thinking_tokens" in vars(one))
    found = Counter(request.task_name for request, text in ours if thinks(text))
    kept = "answers follow a trace of thoughts, which is kept apart"
    return [f"{task}: {n} of {asked[task]} {kept}" for task, n in found.items()]


class _Asking:
    """One call of `completions`; the tokenizer is None where it is not known."""

    def __init__(self, lm: Any, tokenizer: Any, generate: _Generate) -> None:
        self._room, self._tokenizer, self._generate = getattr(lm, "max_length", None), tokenizer, generate

    def answers(self, requests: Sequence[Instance]) -> list[str]:
        begun = [opened(one.args[0]) if isinstance(one.args[0], str) else "" for one in requests]
        # a server's own template may open the trace unseen: who names a budget says that the model thinks
        blind = self._tokenizer is None and any(vars(one)["thinking_tokens"] for one in requests)
        plain = [n for n, opening in enumerate(begun) if not (opening or blind)]
        texts = self._ask(requests, plain, begun)
        thinking = {n for n, text in texts.items() if thinks(text)}
        # to draw only the long samples anew would favour the short ones
        drawn = {n for n, one in enumerate(requests) if one.args[1].get("temperature")}
        anew = thinking | drawn if thinking & drawn else thinking
        again = [n for n in range(len(requests)) if n not in texts or n in anew]
        if again:
            spare, why = self._spare(requests)
            said = self._ask(self._longer(requests, begun, spare), again, begun)
            texts |= {n: self._fitting(said[n], requests[n].args[1]["max_gen_toks"], spare, why) for n in again}
        return [texts[n] for n in range(len(requests))]

    def _ask(self, requests: Sequence[Instance], places: list[int], begun: Sequence[str]) -> dict[int, str]:
        """The texts of some requests, by their places, traces with both markers."""
        said = dict(zip(places, _texts(self._generate, [requests[n] for n in places]), strict=True))
        return {n: text if text.startswith(NO_TEXT) else with_opening(begun[n] + text) for n, text in said.items()}

    def _spare(self, requests: Sequence[Instance]) -> tuple[int, str]:
        """Tokens for a trace, as far as they fit the context behind the longest prompt, and what to do if they are too few."""
        given = (vars(one)["thinking_tokens"] for one in requests)
        wanted = max(THINKING_TOKENS if tokens is None else int(tokens) for tokens in given)
        if self._tokenizer is not None and self._room is not None:
            longest = max(self._length(one.args[0]) + one.args[1]["max_gen_toks"] for one in requests)
            left = max(0, int(self._room) - longest - self._tokenizer.num_special_tokens_to_add())
            if left < wanted:
                return left, f"the context of {self._room:,} tokens has room for no more"
        return wanted, f"--metadata thinking_tokens={2 * wanted or THINKING_TOKENS} allows more"

    def _longer(self, requests: Sequence[Instance], begun: Sequence[str], spare: int) -> list[Instance]:
        """The requests with tokens to spare, and a word to engines that can stop where an answer is complete."""
        kinds = {
            (opening, vars(one).get("ended"), one.args[1]["max_gen_toks"])
            for opening, one in zip(begun, requests, strict=True)
        }
        opening, ended, tokens = next(iter(kinds))

        def complete(text: str) -> bool:
            answer = parts(opening + text)[1]
            return answer is not None and bool((ended and ended(answer)) or self._length(answer) > tokens)

        longer = [copy.copy(one) for one in requests]
        for one in longer:
            one.arguments = (one.args[0], {**one.args[1], "max_gen_toks": one.args[1]["max_gen_toks"] + spare})
            vars(one)["ended"] = complete if len(kinds) == 1 else None
        return longer

    def _length(self, text: str) -> int:
        if self._tokenizer is None:
            return round(len(text.split()) / _WORDS_A_TOKEN)
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _fitting(self, text: str, tokens: int, spare: int, why: str) -> str:
        """A trace and the first tokens of the answer after it, or why there is none."""
        if text.startswith(NO_TEXT):
            return text
        thought, answer = parts(text)
        if answer is None or (spare and self._length(thought) > spare):
            return f"{NO_TEXT}its trace of thoughts does not end within {spare:,} tokens; {why}"
        if self._length(answer) <= tokens:
            return text
        trace = text[: len(text) - len(answer)]
        if self._tokenizer is None:
            return trace + " ".join(answer.split()[: round(tokens * _WORDS_A_TOKEN)])
        ids = self._tokenizer(answer, add_special_tokens=False)["input_ids"]
        return trace + str(self._tokenizer.decode(ids[:tokens]))


@contextmanager
def _unabridged(lm: Any) -> Iterator[None]:
    """For a while, a model of lm-eval keeps the traces in its texts: it would drop what comes before `think_end_token`, markers that are
    special tokens, and what a chat server returns beside the text.
    """
    changed: dict[str, Any] = {}
    if getattr(lm, "think_end_token", None) is not None:
        changed["think_end_token"] = None
    if (kept := special_markers(getattr(lm, "tokenizer", None))) and hasattr(lm, "tok_decode"):
        changed["tok_decode"] = partial(_decode, lm.tok_decode, lm.tokenizer, kept)
    if _is_chat(lm):
        changed["parse_generations"] = _of_messages
    with ExitStack() as for_a_while:
        for name, value in changed.items():
            for_a_while.enter_context(mock.patch.object(lm, name, value))
        yield


def special_markers(tokenizer: Any) -> set[int]:
    """The special tokens of which markers of traces are made: left out where a text is decoded without special tokens."""
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        return set()
    markers = "\n".join(marker for pair in MARKERS for marker in pair)
    return {number for number in special_tokens(tokenizer) if str(tokenizer.convert_ids_to_tokens(number)) in markers}


def special_tokens(tokenizer: Any) -> set[int]:
    """Those that the tokenizer has a use for, and others that are marked as special."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return {*tokenizer.all_special_ids, *(number for number, token in added.items() if token.special)}


def _decode(decode: Callable[..., str], tokenizer: Any, kept: set[int], tokens: Any, **options: Any) -> str:
    """As the model decodes, but markers stay."""
    if isinstance(tokens, int) or not options.get("skip_special_tokens", True):
        return decode(tokens, **options)
    dropped = special_tokens(tokenizer) - kept
    return decode([token for token in tokens if int(token) not in dropped], skip_special_tokens=False)


def _is_chat(lm: Any) -> bool:
    """Whether a model is behind lm-eval's own client of chat servers."""
    if not hasattr(lm, "parse_generations"):
        return False
    from lm_eval.models.openai_completions import LocalChatCompletion

    return getattr(type(lm), "parse_generations", None) is LocalChatCompletion.parse_generations


def _of_messages(outputs: Any, **_: Any) -> list[str]:
    answers = outputs if isinstance(outputs, list) else [outputs]
    return [said(choice) for answer in answers for choice in answer.get("choices") or [{}]]


def said(choice: Mapping[str, Any]) -> str:
    """What a server says in one of its choices, the trace that it returns beside the text before it; `NO_TEXT` and why if nothing."""
    if choice.get("finish_reason") == "content_filter":
        return f"{NO_TEXT}the server's filter held the text back"
    message: Mapping[str, Any] = choice.get("message") or choice
    text = message.get("content", message.get("text"))
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str) and thought.strip():
        opening, closing = MARKERS[0]
        cut_off = not text and choice.get("finish_reason") == "length"
        return f"{opening}{thought}" if cut_off else f"{opening}{thought}{closing}{text or ''}"
    return text if isinstance(text, str) else f"{NO_TEXT}the server returned no text"
