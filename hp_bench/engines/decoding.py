"""Greedy decoding of many prompts: a row leaves the batch as it ends, and the next prompt takes its place.

In `generate` a batch runs until its last row ends. Here the batch stays full as long as a prompt waits, and what all prompts begin with
(a chat template's system turn) is read once.
"""

import inspect
from collections import deque
from collections.abc import Callable, Collection, Sequence
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


def decodes(model: Any) -> bool:
    """Whether `greedy` can serve a model: one of transformers' own, whose layers attend to the whole text, as masks and positions say."""
    if not isinstance(model, PreTrainedModel) or not type(model).__module__.startswith("transformers."):
        return False
    by_masks = model._supports_attention_backend and "position_ids" in inspect.signature(model.forward).parameters
    return by_masks and roomy_cache(model, 0, 0) is not None


def roomy_cache(model: Any, rows: int, length: int) -> DynamicCache | None:
    """A cache with room for `rows` texts of up to `length` tokens; None for a model whose layers do not all attend to the whole text."""
    whole: Any = model
    if not isinstance(model, PreTrainedModel) or not whole._supports_default_dynamic_cache():
        return None
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    if {type(layer) for layer in cache.layers} != {DynamicLayer}:
        return None
    cache.layers = [_Layer(rows, length) for _ in cache.layers]
    return cache


def cache_name(function: Callable[..., Any]) -> str:
    """What a function of transformers calls a key-value cache: past_key_values up to 5.23."""
    return "cache" if "cache" in inspect.signature(function).parameters else "past_key_values"


@torch.inference_mode()
def greedy(
    model: Any,
    prompts: Sequence[list[int]],
    *,
    new_tokens: int,
    ends: Collection[int],
    batch_size: int,
    ended: Callable[[list[int]], bool] = lambda _: False,
    advance: Callable[[], object] = lambda: None,
) -> list[list[int]]:
    """The most probable continuations, token by token.

    Args:
        model: one that `decodes`, in evaluation mode.
        prompts: token numbers of each, at least one.
        new_tokens: of a continuation, at most.
        ends: tokens after which a continuation ends; they are in it.
        batch_size: rows at a time.
        ended: whether a continuation is complete before that; asked after every token.
        advance: called for every continuation that is complete.
    """
    alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*prompts, strict=False))
    prefix = [tokens[0] for tokens in alike][: min(map(len, prompts)) - 1]
    waiting = deque(sorted(range(len(prompts)), key=lambda number: -len(prompts[number])))
    said: list[list[int]] = [[] for _ in prompts]
    slots = _Slots(model, prefix, rows=min(batch_size, len(prompts)), length=max(map(len, prompts)) + new_tokens)
    active: list[int] = []  # the prompt of each slot that is in use; these are the first ones
    while waiting or active:
        free = batch_size - len(active)
        if waiting and (not active or free >= max(1, batch_size // 8)):
            fresh = [waiting.popleft() for _ in range(min(free, len(waiting)))]
            slots.read([prompts[number][len(prefix) : -1] for number in fresh], first=len(active))
            active += fresh
        newest = [(said[number] or prompts[number])[-1] for number in active]
        found = slots.next(newest, [len(prompts[number]) + len(said[number]) - 1 for number in active])
        for slot in reversed(range(len(active))):
            text = said[active[slot]]
            text.append(found[slot])
            if len(text) == new_tokens or text[-1] in ends or ended(text):
                advance()
                last = active.pop()
                if slot < len(active):
                    active[slot] = last
                    slots.move(len(active), slot)
    return said


class _Slots:
    """Keys and values of `rows` texts of up to `length` tokens, each from the first column on, whatever the length of the others.

    What stands behind a row's own tokens is masked, and overwritten as the row grows.
    """

    def __init__(self, model: Any, prefix: list[int], *, rows: int, length: int) -> None:
        self._model, self._prefix = model, 0
        self._cache: Any = roomy_cache(model, rows, length)
        self._name = cache_name(model.forward)
        if prefix:  # what every text begins with is read once, in the first slot
            self.read([prefix], first=0)
            self._prefix = len(prefix)

    def read(self, texts: Sequence[list[int]], *, first: int) -> None:
        """Reads texts, without the prefix, into the slots from `first` on."""
        longest = max(map(len, texts))
        for layer in self._cache.layers:
            layer.begin(slice(first, first + len(texts)), self._prefix)
        if longest:
            ids = [[*text, *[0] * (longest - len(text))] for text in texts]  # nobody attends to what is behind a text
            positions = torch.arange(self._prefix, self._prefix + longest).expand(len(texts), -1)
            self._forward(self._model.base_model, ids, positions)

    def next(self, tokens: list[int], columns: list[int]) -> list[int]:
        """Gives each of the first slots a token, in a column, and returns the most probable ones to follow."""
        at = torch.tensor(columns, device=self._model.device)
        width = max(columns) + 1
        for layer in self._cache.layers:
            layer.begin(slice(len(tokens)), width - 1, at)
        mask = (torch.arange(width, device=at.device) <= at[:, None]).long()
        logits = self._forward(self._model, [[token] for token in tokens], at[:, None], attention_mask=mask).logits
        best = logits[:, -1].max(-1)
        if not bool(best.values.isfinite().all()):
            raise ValueError(
                f"the model computes NaN or infinity in {self._model.dtype}: score it with --dtype float32"
            )
        return best.indices.tolist()

    def move(self, source: int, target: int) -> None:
        """Copies one slot over another."""
        for layer in self._cache.layers:
            for room in layer.room:
                room[target] = room[source]

    def _forward(self, module: Any, ids: list[list[int]], positions: Tensor, **more: Any) -> Any:
        device = self._model.device
        given = {"position_ids": positions.to(device), "use_cache": True, self._name: self._cache, **more}
        return module(input_ids=torch.tensor(ids, device=device), **given)


class _Layer(DynamicLayer):
    """One layer's keys and values, (rows, heads, length, width); `keys` and `values` are views of the rows in use.

    Where `begin` is never called, all rows grow together, as `generate` has them.
    """

    def __init__(self, rows: int, length: int) -> None:
        super().__init__()
        self._rows, self._length = rows, length
        self._place: tuple[slice, int, Tensor | None] | None = None
        self._view: Tensor | None = None
        self.room: tuple[Tensor, ...] = ()

    def begin(self, rows: slice, filled: int, columns: Tensor | None = None) -> None:
        """Says where the next tokens go: `rows`, behind `filled` columns, or one token a row into the column that is its own."""
        self._place = rows, filled, columns
        if self.room:
            if columns is None:  # texts to be read, behind the prefix
                for room in self.room:
                    room[rows, :, :filled] = room[0, :, :filled].clone()
            self.keys, self.values = (room[rows, :, :filled] for room in self.room)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Puts the keys and values of further tokens into their places and returns those of the rows in use."""
        both = key_states, value_states
        rows, filled, columns = self._place or (slice(None), self.get_seq_length(), None)
        end = filled + key_states.shape[-2]
        moved = self._place is None and self.room and (self.keys is not self._view or end > self.room[0].shape[2])
        # `generate` may have reordered the rows, and a model may read more than it was given
        if moved or not self.room:
            kept = (self.keys, self.values) if moved else (None, None)
            self.room = tuple(self._space(new, end, old) for new, old in zip(both, kept, strict=True))
            self.is_initialized = True
        for room, new in zip(self.room, both, strict=True):
            if columns is None:
                room[rows, :, filled:end] = new
            else:
                room[torch.arange(len(new), device=new.device), :, columns] = new[:, :, 0]
        self.keys, self.values = (room[rows, :, :end] for room in self.room)
        self._view = self.keys
        return self.keys, self.values

    def _space(self, new: Tensor, end: int, old: Tensor | None) -> Tensor:
        """Room for tokens like the new ones, the old ones at its beginning; zeros, since what is masked must be numbers."""
        rows = len(new) if self._place is None else self._rows
        room = new.new_zeros(rows, new.shape[1], max(self._length, end), new.shape[-1])
        if old is not None:
            room[:, :, : old.shape[2]] = old
        return room
