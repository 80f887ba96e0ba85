"""Replies of judges on disk, so that nothing is asked twice and an interrupted run goes on where it stopped."""

import hashlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Reply:
    """What a judge said.

    Attributes:
        text: all of it.
        cut_off: it reached its length limit.
    """

    text: str
    cut_off: bool = False


def key(judge: str, where: str, prompt: str, completion: str) -> str:
    """Under which a reply is kept.

    Args:
        judge: name of the judge, which holds the digest of its rubric.
        where: address of its server; "" for a local model.
        prompt: of the probe.
        completion: of the model under test.
    """
    return hashlib.sha256(json.dumps([judge, where, prompt, completion]).encode()).hexdigest()


class ReplyCache:
    """Replies by key: a JSON line each, written as they come. Lines that a kill left half-written are skipped and asked again.

    Args:
        path: of the file, made with the first reply; None keeps replies in memory alone.

    Raises:
        ValueError: the file cannot be read.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Reply, int]] = {}
        self._open_line = False
        if self.path is not None:
            self._read(self.path)

    def get(self, key: str, max_tokens: int) -> Reply | None:
        """The known reply; one that was cut off counts only if a new one could not be longer."""
        reply, limit = self._known.get(key, (None, 0))
        return None if reply is None or (reply.cut_off and limit < max_tokens) else reply

    def put(self, key: str, judge: str, reply: Reply, max_tokens: int) -> None:
        """Keeps a reply; on disk when this returns."""
        row = {"key": key, "judge": judge, "reply": reply.text, "cut_off": reply.cut_off, "max_tokens": max_tokens}
        with self._lock:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                start = "\n" if self._open_line else ""
                line = (start + json.dumps(row) + "\n").encode()
                with self.path.open(
                    "ab", buffering=0
                ) as file:  # one write, so that two processes do not mix their lines
                    file.write(line)
                    os.fsync(file.fileno())
                self._open_line = False
            self._known[key] = reply, max_tokens

    def _read(self, path: Path) -> None:
        try:
            content = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        except OSError as error:
            raise ValueError(f"judge cache {str(path)!r} cannot be read: {error.strerror}") from None
        self._open_line = bool(content) and not content.endswith("\n")
        for line in content.split("\n"):
            try:
                row = json.loads(line)
                self._known[row["key"]] = Reply(str(row["reply"]), bool(row["cut_off"])), int(row["max_tokens"])
            except (ValueError, KeyError, TypeError):
                continue


def default_path() -> Path:
    """Where replies are kept when nobody says: the user's cache folder."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "hp-bench" / "replies.jsonl"
