"""Side by side, paired; and whether two scorecards may stand side by side at all."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import ELSEWHERE, Difference, Measurement, Scorecard, difference, measure, scored_pairs
from hp_bench.results.statistics import holm


def incomparable(a: Scorecard, b: Scorecard) -> list[str]:
    """What forbids comparing two scorecards in the tasks they share: sentences naming the difference; empty if nothing does."""
    reasons = []
    shared = [task for task in a.manifest.tasks if task in b.manifest.tasks]
    if not shared:
        ours, theirs = (", ".join(card.manifest.tasks) or "none" for card in (a, b))
        alone = (
            "; a file of completions compares with hp_familiarity, where that was asked the prompts that come with it"
        )
        reasons.append(f"no task in common: {ours} against {theirs}" + alone * (ELSEWHERE in (ours, theirs)))
    for task in shared:
        one, other = asdict(a.manifest.tasks[task]), asdict(b.manifest.tasks[task])
        if task == ELSEWHERE:
            one["n"] = other["n"] = None  # what the two files have in common is paired
            if not set(a.items[task]) & set(b.items[task]):
                reasons.append(f"{task}: not one prompt in common, with the same references")
        differ = [key for key in one if one[key] != other[key]]
        how = _DIFFER | _DIFFER_ELSEWHERE if task == ELSEWHERE else _DIFFER
        told = [how[key].format(*("none" if d[key] == "" else d[key] for d in (one, other))) for key in differ]
        reasons += [f"{task}: {sentence}" for sentence in told]
    return reasons


#: Key of a task's manifest -> how two values of it are told.
_DIFFER = {
    "version": "version {} of the task against {}",
    "n": "{} prompts against {}",
    "prompts_sha256": "they were asked other prompts",
    "judge": "graded by {} against {}",
    "decoding": "generated in different ways ({} against {})",
    "chat_template": "their chat templates differ",
    "num_fewshot": "{} examples before each prompt against {}",
    "prompts_changed": "a part of the prompts, or prompts that were mended ({} against {})",
    "tokens_sha256": "they were asked other tokens",
}
_DIFFER_ELSEWHERE = {
    "decoding": "one is cut at the first blank line, as the tasks do, and the other is not: judge both with --cut"
}


def doubts(cards: Sequence[Scorecard]) -> list[str]:
    """What does not forbid comparing scorecards with the first but may move numbers a little: engine, type of the weights, device, library
    versions. A sentence each; scorecards without a number are left out.
    """
    found: list[str] = []
    made = [card.manifest for card in cards if card.scored]
    told = [{"engine": repr(m.engine), "dtype": repr(m.dtype), "device": m.device, **m.versions} for m in made]
    for ours, theirs in ((told[0], one) for one in told[1:]):
        if "'unknown'" in (ours["engine"], theirs["engine"]):
            found += ["how a file's completions were generated is unknown"] * (ours["engine"] != theirs["engine"])
            continue
        pairs = [(key, ours.get(key, "none"), theirs.get(key, "none")) for key in ours | theirs]
        found += [f"{key} {one} against {other}" for key, one, other in pairs if one != other and one and other]
    return [f"not quite the same conditions: {doubt}" for doubt in dict.fromkeys(found)]


def require_comparable(cards: Sequence[Scorecard]) -> None:
    """Raises ValueError naming the first difference that forbids a comparison."""
    for other in cards[1:]:
        reasons = incomparable(cards[0], other)
        if reasons:
            raise ValueError(f"{cards[0].name} and {other.name} do not compare: {'; '.join(reasons[:3])}")


@dataclass(frozen=True)
class Compared:
    """A paired difference with its p-value adjusted over the family it was tested in.

    Attributes:
        name: of the model compared with the reference.
        difference: model minus reference.
        p_adjusted: after Holm over all models of the call, per metric.
        of_pairs: the model's number and the reference's over the pairs alone; None where the pairs are all that either has scored.
    """

    name: str
    difference: Difference
    p_adjusted: float
    of_pairs: tuple[Measurement, Measurement] | None = None


def compare(reference: Scorecard, others: Sequence[Scorecard]) -> list[Compared]:
    """Every metric of every model against a reference, paired prompt by prompt.

    Raises:
        ValueError: their manifests forbid it.
    """
    require_comparable([reference, *others])
    return _families([reference], [(other.name, other, reference) for other in others])


def _families(cards: Sequence[Scorecard], pairs: Sequence[tuple[str, Scorecard, Scorecard]]) -> list[Compared]:
    """Every number of some scorecards: the difference of every pair that has it, Holm over the pairs."""
    compared: list[Compared] = []
    for task, metric in dict.fromkeys(
        (task, m) for card in cards for task, metrics in card.values.items() for m in metrics
    ):
        told = [
            (name, difference(a, b, task, metric), _of_pairs(a, b, task, metric))
            for name, a, b in pairs
            if scored_pairs(a, b, task, metric)
        ]
        adjusted = holm([d.p for _, d, _ in told])
        compared += [Compared(name, d, p, values) for (name, d, values), p in zip(told, adjusted, strict=True)]
    return compared


def _of_pairs(a: Scorecard, b: Scorecard, task: str, metric: str) -> tuple[Measurement, Measurement] | None:
    ours, theirs = zip(*scored_pairs(a, b, task, metric), strict=True)
    alone = any(m.n > len(ours) for card in (a, b) if (m := card.find(task, metric)))
    return (measure(task, metric, ours), measure(task, metric, theirs)) if alone else None


def compare_curves(curves: Mapping[str, Sequence[Scorecard]]) -> list[Compared]:
    """Every method against the first, at each step that both have, paired prompt by prompt; Holm over methods and steps, per metric.

    Args:
        curves: method -> scorecards with steps.

    Raises:
        ValueError: their manifests forbid it, or no step but the baseline's is in two of them.
    """
    (first, reference), *others = curves.items()
    require_comparable([*reference, *(card for _, cards in others for card in cards)])
    at = {card.step: card for card in reference if card.step}
    pairs = [
        (f"{name} - {first}, step {c.step}", c, at[c.step]) for name, cards in others for c in cards if c.step in at
    ]
    if not pairs:
        named = ", ".join(name for name, _ in others)
        raise ValueError(f"{first} and {named} have no step in common but the baseline's")
    return _families(list(at.values()), pairs)


#: Number -> what a model is of whose completions most are so, and what they are.
_SHOW_NOTHING = {"empty": ("is silent", "empty"), "refused": ("refuses", "refusals")}


def broken(card: Scorecard, baseline: Scorecard | None = None) -> str:
    """Why a model counts as broken rather than as one that forgot; "" if it does not.

    A degenerate rate 10 points above the baseline's is too much, or, without a baseline, one over half.
    """
    for m in card.measurements:
        what = "completions" + f" of {m.task}" * (m.task != ELSEWHERE)
        allowed = too_degenerate(m, baseline.find(m.task, m.metric) if baseline else None)
        if allowed is not None:
            many = f"{m.degenerate} of {m.n} {what} are degenerate (loops or noise)"
            return f"{card.name} is broken: {many}, more than {allowed:.0%}"
        if m.metric in _SHOW_NOTHING and m.value is not None and m.value > 0.5:
            kind, shown = _SHOW_NOTHING[m.metric]
            return f"{card.name} {kind}: {round(m.value * m.n)} of {m.n} {what} are {shown}, so they show nothing"
    return ""


def too_degenerate(measurement: Measurement, before: Measurement | None) -> float | None:
    """The degenerate rate that was allowed, see `broken`, where a measurement's is above it; None where it is not."""
    if measurement.degenerate is None or not measurement.n:
        return None
    allowed = 0.5
    if before is not None and before.n and before.degenerate is not None:
        allowed = before.degenerate / before.n + 0.10
    return allowed if measurement.degenerate / measurement.n > allowed else None


def leading(card: Scorecard) -> Measurement | None:
    """The first number to know of a model: its familiarity, or else the first that tells knowledge."""
    return min(
        card.measurements, key=lambda m: (m.metric != "familiarity", not METRICS[m.metric].knowledge), default=None
    )


def little_to_forget(name: str, before: Measurement | None) -> str:
    """A sentence where a baseline's number is what models have that never read the text; "" where it is not. Of seven that never read the
    target, on three seeds and asked in two ways, none had a familiarity above .49 (docs/real.md).
    """
    if before is None or before.value is None or before.low is None or not METRICS[before.metric].knowledge:
        return ""
    chance = METRICS[before.metric].chance
    floor = chance or (0.5 if before.metric == "familiarity" else 0.01)
    if (before.low if chance else before.value) > floor:
        return ""
    value = f"{before.metric} {before.value:.3g}" + (f", by chance {chance:g}" if chance else "")
    return f"{name} hardly knows this text ({value}): by this number there was little to forget"
