"""hp_general: the loss of whole texts, in bits a byte, as bare transformers gives it."""

import math

import pytest
import tiny
import torch

from hp_bench.probes.paths import prompts_dir
from hp_bench.scoring.models import score
from hp_bench.scoring.score import load_tasks
from unlearn.models import load_model, load_tokenizer


def test_bits_a_byte_are_those_of_bare_transformers(tmp_path):
    base = tiny.save(tmp_path / "base")
    lines = ['{"id": "a", "text": "The harbour lay still."}', '{"id": "b", "text": "Nora hängt die Wäsche auf."}']
    (tmp_path / "general.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    card = score(base, tasks=["hp_general"], metadata={"prompts": str(tmp_path / "general.jsonl")}, device="cpu")
    model, tokenizer = load_model(str(base), device="cpu", dtype="float32"), load_tokenizer(str(base))
    expected = []
    for text in ("The harbour lay still.", "Nora hängt die Wäsche auf."):
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        start = torch.tensor(
            [[tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id]]
        )
        with torch.no_grad():
            logits = model(input_ids=torch.cat([start, ids], dim=1)).logits
        logs = logits[0, :-1].log_softmax(-1)
        expected.append(-float(logs.gather(1, ids[0][:, None]).sum()) / math.log(2) / len(text.encode()))
    assert card.values["hp_general"]["bits_per_byte"] == pytest.approx(expected, rel=1e-4)
    assert card.get("hp_general", "bits_per_byte").value == pytest.approx(sum(expected) / 2, rel=1e-4)


def test_our_own_text_is_twenty_pages():
    task = load_tasks(["hp_general"])["tasks"]["hp_general"]
    assert len(list(task.eval_docs)) == 20
    assert all(100 <= len(doc["text"].split()) <= 450 for doc in task.eval_docs)
    assert (prompts_dir() / "general.jsonl").is_file()


def test_a_file_without_texts_is_one_sentence(tmp_path):
    """It was `KeyError: 'text'`, after the model was loaded."""
    (tmp_path / "p.jsonl").write_text('{"id": "a", "text": "Nora.", "source": "x"}\n\n{"id": "b", "prompt": "Who?"}\n')
    with pytest.raises(ValueError, match=r"hp_general: .*p\.jsonl, line 3: not a text: it lacks text"):
        load_tasks(["hp_general"], {"prompts": str(tmp_path / "p.jsonl")})
