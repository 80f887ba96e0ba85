"""An OpenAI-compatible server on the loopback that says what a test tells it to."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ScriptedServer(ThreadingHTTPServer):
    """Answers with `script(message, attempt)`: a reply text, an HTTP status, a pair (text, finish reason), or a callable on the handler.

    What was asked is in `asked`, request bodies in `bodies`, their headers in `headers_seen`, the most questions under way at a time in `most`.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.asked, self.bodies, self.headers_seen, self.attempts = script, [], [], [], {}
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request, client_address):
        """A client that has given up is no error here."""


@contextlib.contextmanager
def serving(script) -> Iterator[ScriptedServer]:
    with ScriptedServer(script) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = body["messages"][-1]["content"]
        with server.lock:
            server.now += 1
            server.most = max(server.most, server.now)
            server.asked.append(message)
            server.bodies.append(body)
            server.headers_seen.append({name.lower(): value for name, value in self.headers.items()})
            attempt = server.attempts[message] = server.attempts.get(message, 0) + 1
        try:
            answer = server.script(message, attempt)
        finally:  # before the client hears of it and asks on
            with server.lock:
                server.now -= 1
        if callable(answer):
            answer(self)
        elif isinstance(answer, int):
            self.send(answer, json.dumps({"error": {"message": f"status {answer}"}}))
        else:
            text, finish = answer if isinstance(answer, tuple) else (answer, "stop")
            self.send(200, completion(text, finish))

    def send(self, status, content, kind="application/json"):
        data = content.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("retry-after-ms", "1")  # no test waits for a pause to pass
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


def completion(text, finish="stop"):
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    return json.dumps({"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})
