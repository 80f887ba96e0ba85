"""A real vLLM server on loopback, scored as an address: the numbers of the model that it serves."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import requests
import small_prompts
import tiny
from own_settings import with_json

from hp_bench import score

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("server")
    sound = tiny.save(root / "sound", "metaspace_bpe")
    with_json(sound, root / "model", "generation_config.json", repetition_penalty=3.0)  # the server's default
    small_prompts.write(root / "prompts")
    return root


@pytest.fixture(scope="module")
def address(place):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(place / "model"), "--served-model-name", "mine"),
        *("--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--max-model-len", "512", "--enforce-eager"),
    ]  # fmt: skip
    with (place / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}
        )
    try:
        for _ in range(600):
            assert server.poll() is None, (place / "server.log").read_text()[-3000:]
            try:
                if requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def test_a_served_model_has_the_numbers_of_the_model_it_serves(place, address):
    """The tokenizer is found by what the server says of its model."""
    metadata = {"prompts": str(place / "prompts")}
    served, own = score(f"{address}#mine", metadata=metadata), score(place / "model", metadata=metadata)
    assert not served.failures
    assert (served.name, served.manifest.engine, served.manifest.device) == ("mine", "endpoint", "")
    a, b = (card.values["hp_token_probability"]["token_probability"] for card in (served, own))
    assert a == pytest.approx(b, rel=1e-3)
    assert served.values["hp_familiarity"]["familiarity"] == own.values["hp_familiarity"]["familiarity"]
    assert served.values["hp_familiarity"]["degenerate"] == own.values["hp_familiarity"]["degenerate"]
