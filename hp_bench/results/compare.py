"""Side by side, paired; and whether two scorecards may stand side by side at all."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from hp_bench.results.scorecard import Difference, Measurement, Scorecard, difference
from hp_bench.results.statistics import holm


def incomparable(a: Scorecard, b: Scorecard) -> list[str]:
    """What forbids comparing two scorecards in the tasks they share: sentences naming the difference; empty if nothing does."""
    found = []
    shared = [task for task in a.manifest.tasks if task in b.manifest.tasks]
    if not shared:
        found.append(f"no task in common: {_listed(a.manifest.tasks)} against {_listed(b.manifest.tasks)}")
    for task in shared:
        ours, theirs = asdict(a.manifest.tasks[task]), asdict(b.manifest.tasks[task])
        found += [f"{task}: {key} {ours[key]!r} against {theirs[key]!r}" for key in ours if ours[key] != theirs[key]]
    return found


def doubtful(a: Scorecard, b: Scorecard) -> list[str]:
    """What does not forbid a comparison but may move numbers a little: engine, type of the weights, library versions."""
    found = [
        f"{key} {getattr(a.manifest, key)!r} against {getattr(b.manifest, key)!r}"
        for key in ("engine", "dtype")
        if getattr(a.manifest, key) != getattr(b.manifest, key)
    ]
    libraries = sorted({*a.manifest.versions, *b.manifest.versions})
    for library in libraries:
        ours, theirs = a.manifest.versions.get(library, "none"), b.manifest.versions.get(library, "none")
        if ours != theirs:
            found.append(f"{library} {ours} against {theirs}")
    return found


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
    """

    name: str
    difference: Difference
    p_adjusted: float


def compare(reference: Scorecard, others: Sequence[Scorecard]) -> list[Compared]:
    """Every metric of every model against a reference, paired prompt by prompt.

    Raises:
        ValueError: their manifests forbid it.
    """
    require_comparable([reference, *others])
    found: list[Compared] = []
    for task, metrics in reference.values.items():
        for metric in metrics:
            family = [
                (other.name, difference(other, reference, task, metric))
                for other in others
                if metric in other.values.get(task, {}) and _both_scored(other, reference, task, metric)
            ]
            adjusted = holm([item.p for _, item in family])
            found += [Compared(name, item, p) for (name, item), p in zip(family, adjusted, strict=True)]
    return found


def _both_scored(a: Scorecard, b: Scorecard, task: str, metric: str) -> bool:
    return any(
        x is not None and y is not None for x, y in zip(a.values[task][metric], b.values[task][metric], strict=False)
    )


def _listed(names: object) -> str:
    return ", ".join(names) or "none"  # type: ignore[arg-type]


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
        raise ValueError(
            f"{first} and {', '.join(name for name, _ in others)} have no step in common but the baseline's"
        )
    found: list[Compared] = []
    keys = dict.fromkeys((name, m) for card in at.values() for name, metrics in card.values.items() for m in metrics)
    for task, metric in keys:
        family = [
            (name, difference(a, b, task, metric))
            for name, a, b in pairs
            if metric in a.values.get(task, {})
            and metric in b.values.get(task, {})
            and _both_scored(a, b, task, metric)
        ]
        adjusted = holm([item.p for _, item in family])
        found += [Compared(name, item, p) for (name, item), p in zip(family, adjusted, strict=True)]
    return found


def broken(card: Scorecard, baseline: Scorecard | None = None) -> str:
    """Why a model counts as broken rather than as one that forgot; "" if it does not.

    A degenerate rate 10 points above the baseline's is too much, or, without a baseline, one over half.
    """
    for measurement in card.measurements:
        if measurement.degenerate is None or not measurement.n:
            continue
        rate, allowed = measurement.degenerate / measurement.n, 0.5
        before = _same(baseline, measurement)
        if before is not None and before.n and before.degenerate is not None:
            allowed = before.degenerate / before.n + 0.10
        if rate > allowed:
            return (
                f"{card.name} is broken: {measurement.degenerate} of {measurement.n} completions of {measurement.task} are degenerate, "
                f"more than {allowed:.0%}"
            )
    return ""


def _same(card: Scorecard | None, like: Measurement) -> Measurement | None:
    if card is None:
        return None
    return next((m for m in card.measurements if (m.task, m.metric) == (like.task, like.metric)), None)
