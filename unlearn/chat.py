"""Asks a language model behind any OpenAI-compatible endpoint: so many at once, patiently, and nothing twice.

Every reply goes to a file as it comes, so that an interrupted run goes on where it stopped.
"""

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from unlearn.progress import progress_bars

#: Longest wait before an attempt, in seconds, whatever the server asks for.
_LONGEST_WAIT: Final = 60.0

#: Retries as long as nobody has ever answered at the address: it is probably wrong.
_RETRIES_INTO_THE_VOID: Final = 2


@dataclass(frozen=True)
class Endpoint:
    """A language model and how to ask it. The API key is OPENAI_API_KEY of the environment; local servers need none.

    Attributes:
        base_url: e.g. http://localhost:8000/v1 for a local vLLM server.
        model: the name that the server knows it by.
        concurrency: questions under way at a time.
        timeout: seconds until an attempt is given up.
        retries: further attempts after a timeout, a lost connection, or status 408, 409, 429 or 5xx.
        backoff: seconds before the first of them; doubles each time, at most a minute. A longer Retry-After is kept.
        max_tokens: longest reply, in tokens; longer ones are cut off.
        temperature: of sampling; 0: the likeliest reply.
    """

    base_url: str
    model: str
    concurrency: int = 8
    timeout: float = 120.0
    retries: int = 5
    backoff: float = 1.0
    max_tokens: int = 2048
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"endpoint {self.base_url!r} is no address such as http://localhost:8000/v1")
        if not self.model:
            raise ValueError("an endpoint needs the name of a model")
        if self.concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, not {self.concurrency}")


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        prompt: hash of the prompt that the text was made from.
        passage: what the prompt was filled with.
        text: the whole message.
    """

    prompt: str
    passage: str
    text: str

    def key(self, model: str) -> str:
        """Under which the reply is kept: SHA-256 over model, prompt and passage."""
        parts = json.dumps([model, self.prompt, self.passage])
        return hashlib.sha256(parts.encode()).hexdigest()


@dataclass(frozen=True)
class Reply:
    """What came back; `cut_off`: it reached `max_tokens`."""

    text: str
    cut_off: bool = False


@dataclass(frozen=True)
class Answers:
    """Replies in the order of the questions.

    Attributes:
        replies: None where no reply came.
        cached: how many were known from an earlier run.
        retried: attempts beyond the first, over all questions.
        failures: why the others have none, one sentence each, in the order of the questions.
    """

    replies: tuple[Reply | None, ...]
    cached: int
    retried: int
    failures: tuple[str, ...]


class ReplyCache:
    """Replies on disk, a JSON line each; lines that a kill left half-written are skipped and asked again.

    Args:
        path: of the file; made with the first reply.

    Raises:
        ValueError: it cannot be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Reply, int]] = {}
        try:
            content = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        except OSError as error:
            raise ValueError(f"cache {str(path)!r} cannot be read: {error.strerror}") from None
        self._open_line = bool(content) and not content.endswith("\n")
        for line in content.splitlines():
            try:
                row = json.loads(line)
                self._known[row["key"]] = Reply(str(row["reply"]), bool(row["cut_off"])), int(row["max_tokens"])
            except (ValueError, KeyError, TypeError):
                continue

    def get(self, key: str, max_tokens: int) -> Reply | None:
        """The known reply; one that was cut off counts only if a new one could not be longer."""
        reply, limit = self._known.get(key, (None, 0))
        return None if reply is None or (reply.cut_off and limit < max_tokens) else reply

    def put(self, key: str, model: str, reply: Reply, max_tokens: int) -> None:
        """Keeps a reply, at once and for good."""
        row = {"key": key, "model": model, "reply": reply.text, "cut_off": reply.cut_off, "max_tokens": max_tokens}
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(("\n" if self._open_line else "") + json.dumps(row, ensure_ascii=True) + "\n")
            self._open_line = False
            self._known[key] = reply, max_tokens


def ask(endpoint: Endpoint, questions: Sequence[Question], cache: ReplyCache) -> Answers:
    """Asks what the cache does not know.

    When as many questions in a row fail as are asked at once, the rest is not asked: the server is gone.

    Raises:
        ValueError: the server refuses (unknown model, wrong key, a request it does not understand), or nothing answers there.
    """
    keys = [question.key(endpoint.model) for question in questions]
    open_questions = {
        key: question
        for key, question in zip(keys, questions, strict=True)
        if cache.get(key, endpoint.max_tokens) is None
    }
    asking = _Asking(endpoint, cache)
    if open_questions:
        asking.all(open_questions)
    replies = tuple(cache.get(key, endpoint.max_tokens) for key in keys)
    failures = tuple(asking.failures.get(k, "not asked any more") for k in open_questions if k not in asking.answered)
    if failures and not asking.answered:
        raise ValueError(f"endpoint {endpoint.base_url} gives no answer: {next(iter(asking.failures.values()))}")
    return Answers(replies, len(set(keys)) - len(open_questions), asking.retried, failures)


class _Asking:
    """One round of questions."""

    def __init__(self, endpoint: Endpoint, cache: ReplyCache) -> None:
        self._endpoint, self._cache = endpoint, cache
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._reached = False
        self.answered: set[str] = set()
        self.failures: dict[str, str] = {}
        self.retried = 0

    def all(self, questions: dict[str, Question]) -> None:
        openai = _openai()
        client = openai.OpenAI(
            base_url=self._endpoint.base_url, api_key=os.environ.get("OPENAI_API_KEY") or "none",
            timeout=self._endpoint.timeout, max_retries=0,
        )  # fmt: skip
        waiting: set[Future[None]] = set()
        with progress_bars() as progress, ThreadPoolExecutor(self._endpoint.concurrency) as pool:
            bar = progress.add_task("asking", total=len(questions))
            try:
                waiting = {pool.submit(self._one, client, openai, key, q) for key, q in questions.items()}
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    progress.advance(bar, len(done))
            finally:  # after an interruption or a refusal: what is under way ends and is kept, nothing new begins
                self._stop.set()
                for future in waiting:
                    future.cancel()

    def _one(self, client: Any, openai: Any, key: str, question: Question) -> None:
        request: dict[str, Any] = {
            "model": self._endpoint.model, "messages": [{"role": "user", "content": question.text}],
            "max_tokens": self._endpoint.max_tokens, "temperature": self._endpoint.temperature,
        }  # fmt: skip
        attempt = 0
        while not self._stop.is_set():
            try:
                completion = client.chat.completions.create(**request)
            except openai.APIStatusError as error:
                self._reached = True
                if error.status_code not in (408, 409, 429) and error.status_code < 500:
                    adapted = _adapted(request, str(error))
                    if adapted is None:
                        self._stop.set()
                        raise ValueError(f"endpoint {self._endpoint.base_url} refuses: {error}") from None
                    request = adapted
                    continue
                problem, asked_for = str(error), _seconds(error.response.headers.get("retry-after"))
            except (openai.APIError, json.JSONDecodeError) as error:  # no connection, no time left, no JSON
                problem, asked_for = f"{type(error).__name__}: {error.__cause__ or error}", 0.0
            else:
                self._reached = True
                reply = _reply(completion)
                if reply is not None:
                    self._keep(key, reply)
                    return
                problem, asked_for = "the reply is no chat completion", 0.0
            if attempt >= (
                self._endpoint.retries if self._reached else min(self._endpoint.retries, _RETRIES_INTO_THE_VOID)
            ):
                self._fail(key, problem)
                return
            pause = min(max(self._endpoint.backoff * 2**attempt, asked_for), _LONGEST_WAIT)
            attempt += 1
            if not self._stop.wait(pause):
                with self._lock:
                    self.retried += 1

    def _keep(self, key: str, reply: Reply) -> None:
        self._cache.put(key, self._endpoint.model, reply, self._endpoint.max_tokens)
        with self._lock:
            self.answered.add(key)
            self._in_a_row = 0

    def _fail(self, key: str, problem: str) -> None:
        with self._lock:
            self.failures[key] = problem
            self._in_a_row += 1
            if self._in_a_row >= self._endpoint.concurrency:
                self._stop.set()


def _reply(completion: Any) -> Reply | None:
    """A proxy's page or an error in a 200 is none."""
    choices = getattr(completion, "choices", None)
    if not choices:
        return None
    return Reply(choices[0].message.content or "", choices[0].finish_reason == "length")


def _adapted(request: dict[str, Any], complaint: str) -> dict[str, Any] | None:
    """The request in the words of servers that take no `max_tokens` (but `max_completion_tokens`) or no `temperature`."""
    if "max_tokens" in request and "max_completion_tokens" in complaint:
        return {("max_completion_tokens" if key == "max_tokens" else key): value for key, value in request.items()}
    if "temperature" in request and "temperature" in complaint:
        return {key: value for key, value in request.items() if key != "temperature"}
    return None


def _seconds(header: str | None) -> float:
    try:
        return max(float(header or 0), 0.0)
    except ValueError:  # a date: our own pause will do
        return 0.0


def _openai() -> Any:
    try:
        import openai
    except ImportError:
        raise ValueError("asking a language model needs the openai client: pip install 'hp-bench[endpoint]'") from None
    return openai
