"""Activation patching: does a model that no longer says a fact still hold it in its hidden states?

The baseline runs. After layer l its residual stream, at every position up to the token that is predicted, is replaced by another model's
for the same text; the layers above and the head stay the baseline's. What is read is by how much it prefers a fact's answer:

    margin = log p(answer | cloze) - mean of log p(distractor | cloze)                               nats
    cost(l, X) = margin(baseline) - margin(baseline with X's states after layer l)                   nats
    recovered(l) = 1 - cost(l, model) / cost(l, twin), cut to 0 to 1

0: the model's states are worth as little as the twin's; 1: as much as the baseline's own. Layer 0 is what the models answer by
themselves, nothing patched. The distractors are there because names are not knowledge: log p(answer) alone rises with the names of the
target, right or wrong. The answer's own tokens are patched, too: were it the prompt alone, they would read the baseline's states beside
the patch.

Source: after the Unlearning Depth Score, arXiv:2605.24614.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch
from lm_eval.api.instance import Instance
from numpy.typing import NDArray

from hp_bench.engines.fit import examine, reason_of
from hp_bench.engines.hf import BATCH_SIZE
from hp_bench.engines.loader import EngineSettings
from hp_bench.engines.loading import same_architecture, same_tokenizer
from hp_bench.engines.source import locate, stored_dtype, widest
from hp_bench.results.statistics import mean_interval
from hp_bench.scoring.checkpoints import named_models
from hp_bench.scoring.score import load_tasks
from hp_bench.stress.facts import fact_tasks
from unlearn.files import find_model
from unlearn.progress import progress_row

#: Nats. A cost of the twin's states below this is no scale: a share of it would be noise.
LEAST = 1.0


@dataclass(frozen=True)
class Recovered:
    """A share of the twin-to-baseline difference, over facts; lower = less is left.

    Attributes:
        value: mean of `values`, 0 (as the twin) to 1 (as the baseline); None where no fact counts.
        low, high: the ends of the 95 % interval (bootstrap over facts).
        values: each fact's, in the order of `Inspection.facts`; None where it does not count.
    """

    value: float | None
    low: float | None
    high: float | None
    values: tuple[float | None, ...]

    @property
    def n(self) -> int:
        """Facts that count."""
        return sum(value is not None for value in self.values)


@dataclass(frozen=True)
class Layer:
    """What the states after one layer are worth; `layer` 0: the models' own answers, nothing patched.

    Attributes:
        layer: number, from 1.
        twin_cost: nats of the margin that the twin's states cost, mean over the facts that count.
        cost: the same of the model's states.
        recovered: over the facts of which `twin_cost` is at least `LEAST` here.
    """

    layer: int
    twin_cost: float
    cost: float
    recovered: Recovered


@dataclass(frozen=True)
class Inspection:
    """A model, layer by layer.

    Attributes:
        name: of the model.
        facts: ids of the facts that count: those of which the baseline's margin is at least `LEAST` nats above the twin's.
        left_out: facts that do not.
        recovered: each fact's mean over the layers, weighted by the twin's cost.
        layers: 0 (own answers) and every layer.
    """

    name: str
    facts: tuple[str, ...]
    left_out: int
    recovered: Recovered
    layers: tuple[Layer, ...]

    @property
    def unreadable(self) -> bool:
        """Whether the twin's states cost more, after any layer, than the twin's own answers differ by: then the baseline cannot read
        them, as where the two were not trained from the same weights.
        """
        own, *layers = self.layers
        return any(layer.twin_cost > own.twin_cost for layer in layers)


def inspect_models(
    models: Sequence[str],
    *,
    baseline: str,
    twin: str,
    tasks: Sequence[str] = ("hp_qa",),
    metadata: Mapping[str, Any] | None = None,
    facts: int = 100,
    seed: int = 0,
    settings: EngineSettings | None = None,
) -> list[Inspection]:
    """What of the twin-to-baseline difference the states of models bring back; what `hp-bench inspect` does.

    Two models are in memory at a time.

    Args:
        models: folders, hub ids or unmerged PEFT adapters.
        baseline: the model before unlearning.
        twin: a model that never read the target.
        tasks: hp_qa, hp_extraction.
        metadata: as for `hp_bench.score`.
        facts: how many are drawn; 0: all.
        seed: of the draw.
        settings: of the engine. Its dtype, where it is auto, is the one that holds all the models' weights.

    Raises ValueError: a model is no folder of weights, is of another architecture or tokenizer than the baseline, or has no decoder
    layers that can be found; a fact cannot be asked; or no fact counts.
    """
    settings = settings or EngineSettings()
    for one in (baseline, twin, *models):
        if settings.engine_of(one) != "hf":
            raise ValueError(
                f"the hidden states of {one!r} cannot be seen by the engine {settings.engine_of(one)!r}: inspect needs the weights of "
                "every model, and --engine hf"
            )
        find_model(one)
    sources = {one: locate(one, base=settings.base) for one in (baseline, twin, *models)}
    dtype = widest([stored_dtype(source) for source in sources.values()]) if settings.dtype == "auto" else ""
    asked = _drawn(fact_tasks(load_tasks(tasks, metadata)), facts, seed)
    with closing(settings.open(baseline, dtype=dtype)) as engine:
        for source in sources.values():
            same_architecture(engine.lm._model.config, source.whole)
            same_tokenizer(engine.lm.tokenizer, source)
        patched = Patched(engine.lm._model, baseline)
        weights, batches = _batches(engine.lm, asked, settings.batch_size or BATCH_SIZE)
        before = [(batch, patched.states(batch)[0]) for batch in batches]

        def read(model: str) -> NDArray[np.float64]:
            with closing(settings.open(model, dtype=dtype)) as donor:
                return _costs(patched, Patched(donor.lm._model, model), before, advance) @ weights

        total, ids = len(weights) * (len(patched.layers) + 1) * (1 + len(models)), list(asked)
        with progress_row("hidden states", total) as advance:
            twins = read(twin)
            return [inspection(point.name, ids, twins, read(point.path)) for point in named_models(models)]


def inspection(name: str, ids: Sequence[str], twin: NDArray[np.float64], model: NDArray[np.float64]) -> Inspection:
    """From what the twin's and the named model's states cost F facts, nats, (1 + L, F), row 0: their own answers, to shares.

    Raises ValueError: a cost is no number, or no fact counts.
    """
    if not (np.isfinite(twin).all() and np.isfinite(model).all()):
        raise ValueError(f"the states of {name} or of the twin make log-probabilities that are no numbers")
    known = twin[0] >= LEAST
    if not known.any():
        raise ValueError(
            f"no fact counts: of none of {len(ids)} does the baseline prefer the answer by {LEAST:g} nat more than the twin, so nothing "
            "was there to be forgotten, or the two are the same"
        )
    twin, model = twin[:, known], model[:, known]
    weights = np.where(twin >= LEAST, twin, 0.0)
    shares = np.clip(1 - model / np.where(weights > 0, twin, 1.0), 0, 1)
    over_layers = weights[1:].sum(0)
    each = (weights[1:] * shares[1:]).sum(0) / np.where(over_layers > 0, over_layers, 1)
    layers = [
        Layer(number, float(twin[number].mean()), float(model[number].mean()), _over(shares[number], weights[number]))
        for number in range(len(twin))
    ]
    facts = tuple(one for one, counts in zip(ids, known, strict=True) if counts)
    return Inspection(name, facts, len(ids) - len(facts), _over(each, over_layers), tuple(layers))


def _over(shares: NDArray[np.float64], weights: NDArray[np.float64]) -> Recovered:
    values = tuple(float(share) if weight > 0 else None for share, weight in zip(shares, weights, strict=True))
    counted = [value for value in values if value is not None]
    if not counted:
        return Recovered(None, None, None, values)
    interval = mean_interval(counted)
    return Recovered(float(np.mean(counted)), interval.low, interval.high, values)


def _costs(
    patched: "Patched", donor: "Patched", asked: Sequence[tuple["Batch", torch.Tensor]], advance: Callable[[int], None]
) -> NDArray[np.float64]:
    """By how much the log-probabilities of N answers, the baseline's beside each batch, fall in another model, or from its states,
    (1 + L, N).
    """
    costs = []
    for batch, before in asked:
        answers, states = donor.states(batch)
        after = [answers]
        advance(len(answers))
        for depth, state in enumerate(states):
            after.append(patched.answers(batch, depth, state))
            advance(len(answers))
        costs.append(before - torch.stack(after))
    order = np.argsort([place for batch, _ in asked for place in batch.places])
    return torch.cat(costs, dim=1).numpy()[:, order]


def _drawn(tasks: Mapping[str, Any], facts: int, seed: int) -> dict[str, tuple[str, list[str]]]:
    """Id -> cloze; answer and distractors, if there are any. In the order of the files."""
    every = {
        str(doc["id"]): (str(doc.get("cloze") or doc["prompt"]), [doc["answer"], *doc.get("distractors", ())])
        for task in tasks.values()
        for doc in task.eval_docs
    }
    kept = set(random.Random(seed).sample(sorted(every), min(facts or len(every), len(every))))
    return {one: fact for one, fact in every.items() if one in kept}


@dataclass(frozen=True)
class Batch:
    """Clozes with their answers or distractors, of like length.

    Attributes:
        places: among all.
        ids: tokens but the last, padded on the right, (B, T).
        rows: the row of each token of an answer, (N,).
        columns: the position that predicts it.
        targets: the token.
    """

    places: list[int]
    ids: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    targets: torch.Tensor


def _batches(lm: Any, asked: Mapping[str, tuple[str, list[str]]], size: int) -> tuple[NDArray[np.float64], list[Batch]]:
    """What turns log-probabilities of N texts into margins of F facts, (N, F); and the texts in the model's tokens, from short to long."""
    texts = [(prompt, f" {choice}") for prompt, choices in asked.values() for choice in choices]
    requests = [Instance("loglikelihood", {}, text, 0) for text in texts]
    examine(lm, requests)
    weights, place = np.zeros((len(texts), len(asked))), 0
    for column, (one, (_, choices)) in enumerate(asked.items()):
        for rank, request in enumerate(requests[place : place + len(choices)]):
            if reason := reason_of(request):
                raise ValueError(f"fact {one!r} cannot be asked: {reason}")
            weights[place + rank, column] = -1 / (len(choices) - 1) if rank else 1
        place += len(choices)
    pairs = [lm._encode_pair(*text) for text in texts]
    by_length = sorted(range(len(pairs)), key=lambda place: sum(map(len, pairs[place])))
    batches = []
    for start in range(0, len(by_length), size):
        places = by_length[start : start + size]
        rows = [[*pairs[place][0], *pairs[place][1]] for place in places]
        ids = [[*row[:-1], *[0] * (len(rows[-1]) - len(row))] for row in rows]
        tokens = [
            (number, column - 1, row[column])
            for number, (place, row) in enumerate(zip(places, rows, strict=True))
            for column in range(len(pairs[place][0]), len(row))
        ]
        columns = (torch.tensor(part, device=lm.device) for part in (ids, *zip(*tokens, strict=True)))
        batches.append(Batch(places, *columns))
    return weights, batches


class Patched:
    """A causal language model that answers from states of its own, or from those of another after one of its layers.

    Its decoder layers are the first list of modules that is as long as its config says. Raises ValueError: there is no such list.
    """

    def __init__(self, model: Any, name: str) -> None:
        count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
        lists = (one for one in model.modules() if isinstance(one, torch.nn.ModuleList) and len(one) == count)
        layers = next(lists, None)
        if layers is None or model.get_output_embeddings() is None:
            raise ValueError(
                f"the decoder layers of {name!r} cannot be found: its config names {count} layers, and {type(model).__name__} holds no "
                "list of as many before an output layer"
            )
        self.layers: Any = layers
        self._model, self._name = model, name
        self._in_tuple = False

    def states(self, batch: Batch) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The log-probability of every text's answer, nats, (B,), float64, and the states after every layer, (B, T, hidden) each."""
        outputs: list[Any] = []
        with ExitStack() as hooks:
            for layer in self.layers:
                hooks.callback(layer.register_forward_hook(lambda *call: outputs.append(call[-1])).remove)
            answers = self._answers(batch)
        self._in_tuple = isinstance(outputs[0], tuple) if outputs else False
        states = [output[0] if isinstance(output, tuple) else output for output in outputs]
        if len(states) != len(self.layers) or any(state.shape[:2] != batch.ids.shape for state in states):
            raise ValueError(
                f"the decoder layers of {self._name!r} do not make one state a position, one after the other"
            )
        return answers, states

    def answers(self, batch: Batch, depth: int, state: torch.Tensor) -> torch.Tensor:
        """The log-probability of every text's answer, nats, (B,), float64; from `state` after layer `depth` (from 0). After `states` alone.

        The layers up to that one are not run at all: that takes half the time of a hook that throws their states away.
        """
        output = (state,) if self._in_tuple else state
        with ExitStack() as patches:
            for layer in self.layers[: depth + 1]:
                patches.enter_context(mock.patch.object(layer, "forward", lambda *_, **__: output))
            return self._answers(batch)

    @torch.inference_mode()
    def _answers(self, batch: Batch) -> torch.Tensor:
        def pick(_: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            return given[0][batch.rows, batch.columns], *given[1:]  # the head is a third of a small model

        hook = self._model.get_output_embeddings().register_forward_pre_hook(pick)
        try:
            logits = self._model(input_ids=batch.ids, use_cache=False).logits
        finally:
            hook.remove()
        wide = logits.float() if logits.dtype != torch.float64 else logits
        found = wide.log_softmax(-1).gather(1, batch.targets[:, None])[:, 0].double()
        return found.new_zeros(len(batch.ids)).index_add(0, batch.rows, found).cpu()
