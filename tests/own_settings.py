"""What a checkpoint's own files may say of how it is to be decoded."""

import json
import shutil
from pathlib import Path

#: Of a generation_config.json, each of which changes what lm-eval's own hf model says, or stops it.
SETTINGS = {
    "repetition_penalty": 3.0,
    "encoder_repetition_penalty": 3.0,
    "no_repeat_ngram_size": 1,
    "bad_words_ids": [[token] for token in range(3, 300)],
    "suppress_tokens": list(range(3, 300)),
    "begin_suppress_tokens": list(range(3, 300)),
    "sequence_bias": [[[7], 100.0]],
    "exponential_decay_length_penalty": [1, 50.0],
    "forced_eos_token_id": 5,
    "max_new_tokens": 3,
    "max_time": 1e-9,
    "stop_strings": ["a", "e"],
    "eos_token_id": list(range(2, 390)),
    "num_beams": 4,
    "guidance_scale": 3.0,
    "watermarking_config": {"greenlist_ratio": 0.3, "bias": 20.0},
    "prompt_lookup_num_tokens": 3,
}


def with_json(folder: Path, copy: Path, name: str, **changed) -> Path:
    """A copy of a model with one of its files changed."""
    shutil.copytree(folder, copy)
    file = copy / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    return copy
