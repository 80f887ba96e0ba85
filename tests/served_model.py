"""A completions server over a tiny model: what lm-eval asks of one, with the ways in which others fall short."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from hp_bench.engines.hf import HFEngine


@contextmanager
def serving(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of a model."""
    patch.setattr(Server, "engine", HFEngine(folder, device="cpu"), raising=False)
    patch.setattr(Server, "folder", str(folder))
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


class Server(BaseHTTPRequestHandler):
    """What it answers; a test changes the class."""

    engine: HFEngine
    folder = ""
    echoes = True
    texts = True
    owner = ""
    context = 512
    most = 10**6  # new tokens, whatever is asked for
    counted: int | None = None  # tokens of all answers to a request, as it says
    read: int | None = None  # and of all prompts
    changed: ClassVar[dict] = {}
    other: str | dict | list | None = None
    listing: int = 200  # the status of the list of models, and of an answer
    status: int = 200
    last: int = 0  # how many answers have another status; 0: all
    asked: ClassVar[list] = []

    def do_GET(self):
        if self.listing != 200:
            self._answer({}, self.listing)
            return
        entry = {"id": "served", "root": self.folder, "max_model_len": self.context, "owned_by": self.owner}
        self._answer({"data": [entry]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(asked)
        if self.status != 200 and (not self.last or len(self.asked) <= self.last):
            self._answer({}, self.status)
            return
        if self.other is not None:
            self._answer(self.other)
            return
        model, tokenizer = self.engine.lm.model, self.engine.lm.tokenizer
        choices = []
        for index, ids in enumerate(asked["prompt"]):
            given = torch.tensor([ids])
            tokens = min(asked["max_tokens"], self.most)
            new = model.generate(given, max_new_tokens=tokens, do_sample=False, pad_token_id=2)[0, len(ids) :]
            choice = {"index": index, "text": tokenizer.decode(new, skip_special_tokens=True) if self.texts else None}
            choice["finish_reason"] = "stop" if int(new[-1]) == 2 else "length"
            if asked.get("echo"):
                whole = [*ids, int(new[0])]
                with torch.no_grad():
                    table = model(torch.tensor([whole])).logits[0].log_softmax(-1)
                logprobs = [None] + [float(table[i, token]) for i, token in enumerate(whole[1:])]
                tops = [None] + [{str(int(row.argmax())): float(row.max())} for row in table[:-1]]
                keep = slice(None) if self.echoes else slice(-1, None)
                choice["logprobs"] = {"token_logprobs": logprobs[keep], "top_logprobs": tops[keep]}
            choices.append({**choice, **self.changed})
        usage = {"completion_tokens": self.counted, "prompt_tokens": self.read}
        self._answer({"choices": choices[::-1], "usage": usage})

    def _answer(self, content, status=200):
        page = isinstance(content, str)
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if page else "application/json")
        self.end_headers()
        self.wfile.write((content if page else json.dumps(content)).encode())

    def log_message(self, *_):
        pass
