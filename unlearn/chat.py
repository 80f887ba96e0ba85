"""Asks a language model behind any OpenAI-compatible endpoint: so many at once, patiently, and nothing twice.

Every reply goes to a file as it comes, so that an interrupted run goes on where it stopped. The one retry rule: what may pass is tried
again after growing pauses; a question that is refused is given up; a server that refuses all, or no longer answers, is asked no more.
"""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from unlearn.progress import progress_row

log = logging.getLogger(__name__)

#: Longest wait before an attempt, in seconds, whatever the server asks for.
_LONGEST_WAIT: Final = 60.0

#: Retries as long as nobody has ever answered at the address: it is probably wrong.
_RETRIES_INTO_THE_VOID: Final = 2

#: Questions in a row without any answer, or as many as are under way: the server is down.
_PATIENCE: Final = 2

#: No other question will fare better: wrong key, no right, no such model or address.
_HOPELESS: Final = (401, 403, 404)


@dataclass(frozen=True)
class Endpoint:
    """A language model and how to ask it. The API key is OPENAI_API_KEY of the environment; local servers need none.

    Attributes:
        base_url: e.g. http://localhost:8000/v1 for a local vLLM server.
        model: the name that the server knows it by.
        concurrency: questions under way at a time.
        timeout: seconds until an attempt is given up.
        retries: further attempts after a timeout, a lost connection, a reply that is none, or status 408, 409, 429 or 5xx.
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

    #: Before the names of its settings where a user meets them.
    _prefix: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not str(self.base_url).startswith(("http://", "https://")):
            named = f"{self._prefix}base_url={self.base_url!r}" if self._prefix else f"endpoint {self.base_url!r}"
            raise ValueError(f"{named} is no address such as http://localhost:8000/v1")
        if not self.model:
            raise ValueError("an endpoint needs the name of a model")
        for name, lowest in (("concurrency", 1), ("retries", 0), ("max_tokens", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < lowest:
                raise ValueError(f"{self._prefix}{name} must be a whole number of at least {lowest}, not {value!r}")
        for name in ("timeout", "backoff"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or value <= 0:
                raise ValueError(f"{self._prefix}{name} must be a number of seconds above 0, not {value!r}")


@dataclass(frozen=True)
class Reply:
    """What came back; `cut_off`: it reached `max_tokens`."""

    text: str
    cut_off: bool = False


def reply_key(*parts: str) -> str:
    """Under which a reply is kept: SHA-256 over all that decides it, the model's name, the prompt's and what fills it among them."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class ReplyCache:
    """Replies by key: a JSON line each, written as they come. Lines that a kill left half-written are skipped and asked again.

    `path`: of the file, made with the first reply; None keeps replies in memory alone. Raises ValueError: it cannot be read.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Reply, int]] = {}
        try:
            there = self.path and self.path.exists()
            content = self.path.read_text(encoding="utf-8", errors="replace") if self.path and there else ""
        except OSError as error:
            raise ValueError(f"reply cache {str(path)!r} cannot be read: {error.strerror}") from None
        self._open_line = bool(content) and not content.endswith("\n")
        for line in content.split("\n"):
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
        """Keeps a reply; on disk when this returns."""
        row = {"key": key, "model": model, "reply": reply.text, "cut_off": reply.cut_off, "max_tokens": max_tokens}
        with self._lock:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                line = (("\n" if self._open_line else "") + json.dumps(row) + "\n").encode()
                with self.path.open("ab", buffering=0) as file:
                    file.write(line)  # one write, so that two processes do not mix their lines
                    os.fsync(file.fileno())
                self._open_line = False
            self._known[key] = reply, max_tokens


#: Called with the number of a question and its reply as soon as it is there.
Keep = Callable[[int, Reply], None]


class Asking:
    """One round of questions; then `answered` holds the numbers of those with a reply, `retried` counts attempts beyond the first.

    Args:
        endpoint: who is asked.
        keep: takes every reply as it comes.
        alike: whether what is refused of one question would be refused of all; then an empty or withheld reply is one, too, which else
            is asked for again.
        description: of the progress bar.
    """

    def __init__(self, endpoint: Endpoint, keep: Keep, *, alike: bool = False, description: str = "asking") -> None:
        self._endpoint, self._keep, self._alike, self._description = endpoint, keep, alike, description
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._in_a_row, self._reached = 0, False
        self._failures: dict[int, str] = {}
        self._unsupported: set[str] = set()
        self.answered: set[int] = set()
        self.refusal, self.retried = "", 0

    @property
    def first_failure(self) -> str:
        """Why the first question that has no reply has none."""
        return next(iter(self._failures.values()), "")

    def all(self, questions: Sequence[str]) -> dict[int, str]:
        """Asks so many at a time; why those that got no reply have none, by number."""
        try:
            import openai
        except ImportError:
            needed = "asking a language model needs the openai client: pip install 'hp-bench[endpoint]'"
            raise ValueError(needed) from None
        client = openai.OpenAI(
            base_url=self._endpoint.base_url, api_key=os.environ.get("OPENAI_API_KEY") or "none",
            timeout=self._endpoint.timeout, max_retries=0,
        )  # fmt: skip
        waiting: set[Future[None]] = set()
        row = progress_row(self._description, len(questions))
        with row as advance, ThreadPoolExecutor(self._endpoint.concurrency) as pool:
            try:
                waiting = {pool.submit(self._one, client, openai, n, text) for n, text in enumerate(questions)}
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    advance(len(done))
            finally:  # after an interruption or a refusal: what is under way ends and is kept, nothing new begins
                self._stop.set()
                for future in waiting:
                    future.cancel()
        last = next(reversed(self._failures.values()), "interrupted")
        unasked = {n: f"not asked any more after: {last}" for n in range(len(questions)) if n not in self.answered}
        return {**unasked, **self._failures}

    def _one(self, client: Any, openai: Any, number: int, question: str) -> None:
        attempt = 0
        while not self._stop.is_set():
            unsupported = frozenset(self._unsupported)
            asked_for, down = 0.0, True
            try:
                completion = client.chat.completions.create(**self._request(question, unsupported))
            except openai.APIStatusError as error:
                self._reached = True
                problem = _short(error)
                if error.status_code not in (408, 409, 429) and error.status_code < 500:
                    if self._adapts(problem, unsupported):
                        continue
                    return self._fail(number, problem, refused=self._alike or error.status_code in _HOPELESS)
                asked_for = _seconds(error.response.headers.get("retry-after"))
            except openai.APIConnectionError as error:  # timeouts are such errors too
                problem = f"{type(error).__name__}: {error.__cause__ or error}"
            except (openai.APIError, ValueError) as error:  # no JSON
                problem = f"what came back is no chat completion ({_short(error)})"
            else:
                self._reached = True
                reply, problem, down = _reply(completion, keep_empty=self._alike)
                if reply is not None:
                    self._keep(number, reply)
                    with self._lock:
                        self.answered.add(number)
                        self._in_a_row = 0
                    return None
            retries = self._endpoint.retries
            if attempt >= (retries if self._reached else min(retries, _RETRIES_INTO_THE_VOID)):
                return self._fail(number, problem, down=down)
            pause = min(max(self._endpoint.backoff * 2**attempt, asked_for), _LONGEST_WAIT)
            attempt += 1
            if not self._stop.wait(pause):
                with self._lock:
                    self.retried += 1
        return None

    def _request(self, question: str, unsupported: Collection[str]) -> dict[str, Any]:
        limit = "max_completion_tokens" if "max_tokens" in unsupported else "max_tokens"
        request: dict[str, Any] = {
            "model": self._endpoint.model, "messages": [{"role": "user", "content": question}],
            limit: self._endpoint.max_tokens, "temperature": self._endpoint.temperature,
        }  # fmt: skip
        return {name: value for name, value in request.items() if name not in unsupported}

    def _adapts(self, complaint: str, unsupported: Collection[str]) -> bool:
        """Whether the server refused a parameter that can be left out or said in another way, and that this request held."""
        for name, sign in (("max_tokens", "max_completion_tokens"), ("temperature", "temperature")):
            if sign in complaint and name not in unsupported:
                with self._lock:
                    if name == "temperature" and name not in self._unsupported:
                        log.warning("%s takes no temperature: its replies are sampled", self._endpoint.model)
                    self._unsupported.add(name)
                return True
        return False

    def _fail(self, number: int, problem: str, *, down: bool = False, refused: bool = False) -> None:
        with self._lock:
            self._failures[number] = problem
            self._in_a_row += down
            if refused:
                self.refusal = self.refusal or problem
            if refused or self._in_a_row >= max(self._endpoint.concurrency, _PATIENCE):
                self._stop.set()


def _reply(completion: Any, *, keep_empty: bool) -> tuple[Reply | None, str, bool]:
    """The reply; else what is wrong with it, and whether nobody was there who could have replied."""
    choices: Any = getattr(completion, "choices", None)
    message = getattr(choices[0], "message", None) if choices else None
    if message is None:  # a proxy's page, or an error in a 200
        return None, "what came back is no chat completion", True
    text, finish = message.content or "", choices[0].finish_reason
    if finish == "content_filter" and not keep_empty:
        return None, "the server's content filter withheld the reply", False
    if not text and finish != "length" and not keep_empty:
        return None, "the reply is empty", False
    return Reply(text, finish == "length"), "", False


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _seconds(header: str | None) -> float:
    try:
        return max(float(header or 0), 0.0)
    except ValueError:  # a date: our own pause will do
        return 0.0
