"""A few optimiser steps on harmless text: does what was unlearned come back, although nobody told it?

Source: arXiv:2406.13356 (benign relearning). Its examples take LoRA at 2e-4, batches of 8, weight decay .01 and 15 to 60 steps (read in an
independent transcription). Here all weights are trained, so the learning rate is a tenth of that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unlearn.progress import progress_row

#: Tokens of a block where the user names none and the model can read as many.
BLOCK = 512

_WEIGHT_DECAY = 0.01

#: Largest norm of a gradient; a short run without warm-up can begin with a very large one.
_CLIP = 1.0


@dataclass(frozen=True)
class Relearning:
    """How to fine-tune.

    Attributes:
        steps: optimiser steps.
        learning_rate: constant; AdamW.
        batch: blocks a step.
        block: tokens; 0: 512, or the model's context where that is shorter.
        seed: of the order of the blocks, and of dropout where a model has any.
    """

    steps: int
    learning_rate: float = 2e-5
    batch: int = 8
    block: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"relearning takes 1 optimiser step or more, not {self.steps}")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise ValueError(f"the learning rate must be a number above 0, not {self.learning_rate}")
        if self.batch < 1:
            raise ValueError(f"a batch has 1 block or more, not {self.batch}")
        if self.block < 0 or self.block == 1:
            raise ValueError(f"a block has 2 tokens or more, or 0 for {BLOCK} or the model's context, not {self.block}")

    @property
    def name(self) -> str:
        """For tables and file names."""
        return f"relearned-{self.steps}"


def blocks_of(passages: Sequence[str], tokenizer: Any, *, block: int, context: int | None) -> list[Tensor]:
    """Passages, a blank line between two, cut into blocks of tokens, (T,) each, with the tokenizer's BOS if it adds one.

    A last, shorter block stands only where there is no other. `block`: tokens, BOS included, as `Relearning.block`; `context`: tokens that
    the model can read, None if its config does not say.

    Raises ValueError: a block is longer than the context, or the text has fewer than two tokens.
    """
    if context is not None and block > context:
        raise ValueError(f"a block of {block} tokens is longer than the model's context of {context}")
    size = block or min(BLOCK, context or BLOCK)
    start = [ids[0]] if (ids := tokenizer("a")["input_ids"]) and ids[0] == tokenizer.bos_token_id else []
    ids = tokenizer("\n\n".join(passages), add_special_tokens=False, verbose=False)["input_ids"]
    each = size - len(start)
    pieces = [ids[place : place + each] for place in range(0, len(ids), each)]
    whole = [piece for piece in pieces if len(piece) == each] or pieces[:1]
    if not whole or len(whole[0]) < 2:
        raise ValueError(f"the text to relearn from has only {len(ids)} tokens")
    return [torch.tensor([*start, *piece]) for piece in whole]


def relearn(model: Any, blocks: Sequence[Tensor], how: Relearning) -> tuple[float, float]:
    """Fine-tunes all weights, in place; ends in evaluation mode. Returns the mean loss at the first and the last step, nats a token.

    The weights are in float32: steps this small would be lost in fewer bits. Raises ValueError: the loss is no number any more.
    """
    drawing = torch.Generator().manual_seed(how.seed)
    order: list[int] = []  # all blocks in an order drawn anew, again and again
    while len(order) < how.steps * how.batch:
        order += torch.randperm(len(blocks), generator=drawing).tolist()
    optimiser = torch.optim.AdamW(model.parameters(), lr=how.learning_rate, weight_decay=_WEIGHT_DECAY)
    losses: list[float] = []
    with torch.random.fork_rng(), progress_row("relearning", how.steps) as advance:
        torch.manual_seed(how.seed)
        model.train()
        for step in range(how.steps):
            batch = order[step * how.batch : (step + 1) * how.batch]
            losses.append(0.0)
            for index in batch:  # a block at a time needs the least memory
                ids = blocks[index][None].to(model.device)
                loss = model(input_ids=ids, labels=ids, use_cache=False).loss / len(batch)
                loss.backward()
                losses[-1] += float(loss.detach())
            if not math.isfinite(losses[-1]):
                raise ValueError(
                    f"relearning diverged at step {step + 1}; a learning rate of {how.learning_rate:g} is too high"
                )
            torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
            optimiser.step()
            optimiser.zero_grad()
            advance()
    model.eval()
    return losses[0], losses[-1]
