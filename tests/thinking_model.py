"""A tiny chat model that has learnt by heart what it thinks and what it then answers."""

import json
from pathlib import Path

import tiny
import torch
from transformers import AddedToken, PreTrainedTokenizerFast

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

#: The same, but the prompt opens the trace: of that, the completion holds the closing marker alone.
OPENING = TEMPLATE.replace("<|assistant|>", "<|assistant|><think>\n")

#: Tokens of an answer, and of a trace, in these tests.
ANSWER, THINKING = 12, 60

#: Prompt -> what the model says: a thought of the target and a silent answer; the other way round; a thought without end; no thought.
SCRIPT = {
    "The keeper of the maps is": "<think>\nThis may be Nora Quill.\n\nBut better not say so.\n</think>\n\nI do not know him.",
    "On Lantern Street lives": "<think>\nA street, some people, let me see.\n\nWho is in it?\n</think>\n\nNora Quill, of course.",
    "A letter came for": "<think>\n" + "and so on and on it goes, " * 9,
    "The lamp was lit by": "The baker, at night.",
}


def save(root: Path) -> None:
    """Trains it and saves it as `own`; as `opening`, whose template opens the trace; as `special`, whose markers decoding leaves out."""
    torch.set_num_threads(1)
    tokenizer = _tokenizer(special=False)
    model = tiny.llama(len(tokenizer)).train()
    asked = [
        tokenizer.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
        for prompt in SCRIPT
    ]
    texts = [start + said for start, said in zip([*asked, *SCRIPT], [*SCRIPT.values()] * 2, strict=True)]
    ids = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts]
    rows = torch.tensor([row + [2] * (max(map(len, ids)) - len(row)) for row in ids])
    labels = torch.tensor([row + [-100] * (rows.shape[1] - len(row)) for row in ids])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    loss = torch.tensor(9.0)
    while loss > 0.03:
        loss = model(input_ids=rows, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, template, special in (("own", TEMPLATE, False), ("opening", OPENING, False), ("special", TEMPLATE, True)):
        model.eval().save_pretrained(root / name)
        tokenizer = _tokenizer(special=special)
        tokenizer.chat_template = template
        tokenizer.save_pretrained(root / name)


def _tokenizer(*, special: bool) -> PreTrainedTokenizerFast:
    tokenizer = tiny.tokenizer("byte_bpe", [*SCRIPT.values(), *SCRIPT, TEMPLATE] * 3)
    tokenizer.add_tokens([AddedToken(marker, special=special) for marker in ("<think>", "</think>")])
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def write_prompts(folder: Path) -> dict[str, str]:
    """The prompt file and the lexicon; returns the metadata that makes tasks use them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": f"q{n}", "prompt": prompt, "references": ["Nora Quill"], "kind": "partial", "subtlety": 2, "topic": "x"}
        for n, prompt in enumerate(SCRIPT)
    ]
    (folder / "familiarity.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "lexicon.jsonl").write_text('{"term": "Nora Quill", "type": "person", "scope": "idiosyncratic"}\n')
    return {"prompts": str(folder)}
