"""Models that think before they answer: vLLM's numbers are those of hf."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_prompts
import thinking_model

from hp_bench import score

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("thinking")
    thinking_model.save(root)
    thinking_model.write_prompts(root / "prompts")
    with pytest.MonkeyPatch.context() as patch:
        small_prompts.shorten(patch, thinking_model.ANSWER)
        yield root


@pytest.mark.parametrize("model", ["own", "opening", "special"])
def test_answer_and_thoughts_are_graded_apart(place, model):
    task = "hp_familiarity_chat"
    metadata = {"prompts": str(place / "prompts"), "thinking_tokens": thinking_model.THINKING}
    ours, theirs = (score(place / model, tasks=[task], metadata=metadata, engine=engine) for engine in ("vllm", "hf"))
    assert ours.values[task] == theirs.values[task]
    assert ours.values[task]["leak_trace"] == [1.0, 0.0, None, None]
    assert ours.manifest.findings == theirs.manifest.findings
