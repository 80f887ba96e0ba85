"""A judge behind any OpenAI-compatible server: a vLLM or llama.cpp server of your own, or a closed API.

Retries, their growing pauses and the server's Retry-After are the `openai` client's; here is what it leaves to its caller: so many
questions at once, replies kept as they come, and knowing when to stop asking a server that will not answer.
"""

import logging
import os
import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from hp_bench.judges.cache import Reply
from hp_bench.judges.llm.judge import Keep
from unlearn.progress import progress_bars

log = logging.getLogger(__name__)

#: No other question will fare better: wrong key, no right, no such model or address.
_HOPELESS = (401, 403, 404)

_PATIENCE = 3  # questions in a row without any answer, or as many as are under way: the server is down

_FIRST_PAUSE, _LONGEST_PAUSE = (
    0.5,
    8.0,
)  # seconds before a question is put again whose reply was none; the openai client's own


@dataclass(frozen=True)
class Endpoint:
    """A served language model. Its API key is OPENAI_API_KEY of the environment; local servers need none.

    Attributes:
        base_url: e.g. http://localhost:8000/v1.
        model: the name that the server knows it by.
        concurrency: questions under way at a time.
        timeout: seconds until an attempt is given up.
        retries: further attempts after a timeout, a lost connection, a reply that is none, or status 408, 409, 429 or 5xx.
        max_tokens: longest reply, in tokens.
        temperature: of sampling; 0: the likeliest reply.
    """

    base_url: str
    model: str
    concurrency: int = 8
    timeout: float = 120.0
    retries: int = 5
    max_tokens: int = 1024
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if not str(self.base_url).startswith(("http://", "https://")):
            raise ValueError(f"judge_base_url={self.base_url!r} is no address such as http://localhost:8000/v1")
        for name, lowest in (("concurrency", 1), ("retries", 0), ("max_tokens", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < lowest:
                raise ValueError(f"judge_{name} must be a whole number of at least {lowest}, not {value!r}")
        if not isinstance(self.timeout, int | float) or self.timeout <= 0:
            raise ValueError(f"judge_timeout must be a number of seconds above 0, not {self.timeout!r}")

    @property
    def name(self) -> str:
        """Kind and model."""
        return f"endpoint:{self.model}"

    @property
    def settings(self) -> Mapping[str, object]:
        """The temperature: nothing else here changes a reply."""
        return {"temperature": self.temperature}

    @property
    def where(self) -> str:
        """The server's address."""
        return self.base_url.rstrip("/")

    def specials(self) -> Sequence[str]:
        """Unknown: the tokenizer is the server's."""
        return ()

    def ask(self, questions: Sequence[str], keep: Keep) -> dict[int, str]:
        """Asks `concurrency` questions at a time; gives up after as many failures in a row, or one that no retry can mend."""
        return _Asking(self, keep).all(questions)


class _Asking:
    """One round of questions."""

    def __init__(self, endpoint: Endpoint, keep: Keep) -> None:
        self._openai = _openai()
        self._endpoint, self._keep = endpoint, keep
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._failures: dict[int, str] = {}
        self._answered: set[int] = set()
        self._unsupported: set[str] = set()

    def all(self, questions: Sequence[str]) -> dict[int, str]:
        client = self._openai.OpenAI(
            base_url=self._endpoint.base_url, api_key=os.environ.get("OPENAI_API_KEY") or "none",
            timeout=self._endpoint.timeout, max_retries=self._endpoint.retries,
        )  # fmt: skip
        waiting: set[Future[None]] = set()
        with progress_bars() as progress, ThreadPoolExecutor(self._endpoint.concurrency) as pool:
            bar = progress.add_task("judging", total=len(questions))
            try:
                waiting = {pool.submit(self._one, client, number, text) for number, text in enumerate(questions)}
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    progress.advance(bar, len(done))
            finally:  # after an interruption: what is under way ends and is kept, nothing new begins
                self._stop.set()
                for future in waiting:
                    future.cancel()
                progress.remove_task(bar)
        last = next(reversed(self._failures.values()), "interrupted")
        unasked = {n: f"not asked any more after: {last}" for n in range(len(questions)) if n not in self._answered}
        return {**unasked, **self._failures}

    def _one(self, client: Any, number: int, question: str) -> None:
        attempt = 0
        while not self._stop.is_set():
            unsupported = frozenset(self._unsupported)
            try:
                completion = client.chat.completions.create(**self._request(question, unsupported))
            except self._openai.BadRequestError as error:
                if self._adapts(str(error), unsupported):
                    continue
                return self._fail(number, _short(error))
            except self._openai.APIStatusError as error:
                return self._fail(number, _short(error), hopeless=error.status_code in _HOPELESS, down=True)
            except self._openai.APIConnectionError as error:  # timeouts are such errors too
                return self._fail(number, f"{_short(error)} {error.__cause__ or ''}".strip(), down=True)
            except (self._openai.APIError, ValueError) as error:  # no JSON
                reply, problem = None, f"what came back is no chat completion ({_short(error)})"
            else:
                reply, problem = _reply(completion)
            if reply is not None:
                self._keep(number, reply)
                with self._lock:
                    self._answered.add(number)
                    self._in_a_row = 0
                return None
            if attempt == self._endpoint.retries:
                return self._fail(number, problem)
            self._stop.wait(min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE))
            attempt += 1
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
                        log.warning("judge %s takes no temperature: its replies are sampled", self._endpoint.model)
                    self._unsupported.add(name)
                return True
        return False

    def _fail(self, number: int, problem: str, *, down: bool = False, hopeless: bool = False) -> None:
        with self._lock:
            self._failures[number] = problem
            self._in_a_row += down
            if hopeless or self._in_a_row > max(self._endpoint.concurrency, _PATIENCE):
                self._stop.set()


def _reply(completion: Any) -> tuple[Reply | None, str]:
    choices: Any = getattr(completion, "choices", None)
    message = getattr(choices[0], "message", None) if choices else None
    if message is None:  # a proxy's page, or an error in a 200
        return None, "what came back is no chat completion"
    text, finish = message.content or "", choices[0].finish_reason
    if finish == "content_filter":
        return None, "the server's content filter withheld the reply"
    if not text and finish != "length":
        return None, "the reply is empty"
    return Reply(text, finish == "length"), ""


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _openai() -> Any:
    try:
        import openai
    except ImportError:
        raise ValueError("judge=endpoint needs the openai client: pip install 'hp-bench[endpoint]'") from None
    return openai
