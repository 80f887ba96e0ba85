"""What is left in a row's model, and what comes back: the panel against both twins, and stress against a twin; kept row by row."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hp_bench.engines.loader import EngineSettings
from hp_bench.experiments.measure import PANEL, Bench, bench_of, drawn
from hp_bench.experiments.store import Place, sentence
from hp_bench.experiments.workers import Relay
from hp_bench.miniature.panel import TASKS, panel_metadata
from hp_bench.report.panel import panel_section
from hp_bench.report.story import Story
from hp_bench.results.compare import broken
from hp_bench.results.scorecard import Scorecard, failures
from hp_bench.stress.recovery import is_knowledge
from hp_bench.stress.run import stress_test
from unlearn.files import whole_file, write_json

STRESS = "stress"

#: Keys of a panel's `found`.
ABOVE, NOT_NAMES = "above both twins", "of these, not by names alone"


@dataclass(frozen=True)
class Finding:
    """What the panel or stress found in one row's model, in one seed's miniature.

    Attributes:
        kind: panel or stress.
        name: of the row.
        seed: of the miniature.
        fingerprint: of everything that decides it.
        asked: how many numbers could tell: of the panel those that tell the baseline from both twins; of stress, those of knowledge.
        found: ABOVE and NOT_NAMES, or each stress -> the numbers: `metric of task`.
        broken: keys of `found` of which nothing is said: stresses that broke the model; of the panel both, where the model is broken.
        failure: why there is nothing; "" if there is.
    """

    kind: str
    name: str
    seed: int
    fingerprint: str
    asked: int = 0
    found: Mapping[str, Sequence[str]] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    failure: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {key: value for key, value in asdict(self).items() if key != "fingerprint"}


def kept(place: Place, kind: str, name: str, identity: str) -> Finding | None:
    """What is kept of a row, if it was made from the same and did not fail."""
    try:
        content = json.loads(_record(place, kind, name).read_text(encoding="utf-8"))
        found = Finding(**{**content, "broken": tuple(content["broken"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.fingerprint == identity and not found.failure else None


def keep(place: Place, found: Finding) -> Finding:
    """Keeps what was found of a row."""
    write_json(_record(place, found.kind, found.name), asdict(found), sort_keys=False)
    return found


def ask_own(place: Place, name: str, relay: Relay) -> None:
    """Asks baseline or a twin the panel, in a process of its own: what rows are held against."""
    with drawn(relay):
        bench = bench_of(place)
        bench.panel(name, {twin.name: twin for twin in bench.world.twins}.get(name, bench.world.baseline))


def stress_twin(place: Place, identity: str, relay: Relay) -> Finding:
    """Stresses the second twin against the first, in a process of its own: a row that never knew, and the control that all share."""
    with drawn(relay):
        bench = bench_of(place)
        twin = bench.world.twins[1]
        try:
            return keep(place, stress(bench, place, twin.name, twin, identity))
        except Exception as error:
            return keep(place, Finding(STRESS, twin.name, place.seed, identity, failure=sentence(error)))


def panel(
    bench: Bench, place: Place, name: str, model: Any, identity: str, *, step: int | None, tokenizer: Path | None
) -> Finding:
    """The panel's numbers in which a model is above both twins (p < .05 after Holm over its numbers).

    Args:
        bench: of the miniature.
        place: of the seed.
        name: of the row.
        model: folder, or a live model.
        identity: of the row.
        step: of its checkpoint.
        tokenizer: folder of a live model's.

    Raises:
        ValueError: a task broke off, for this model, the baseline or a twin.
    """
    own = bench.panel(name, model, step=step, tokenizer=tokenizer)
    baseline = bench.panel("baseline", bench.world.baseline)
    twins = [bench.panel(twin.name, twin) for twin in bench.world.twins]
    for card in (own, baseline, *twins):
        if card.failed:
            raise ValueError("; ".join(failures([card])) or f"prompts of {card.name} were unscored")
    told = panel_rows(own, baseline, twins)
    above = [(task, metric, names) for task, metric, left, names in told if left]
    found = {
        ABOVE: [f"{metric} of {task}" for task, metric, _ in above],
        NOT_NAMES: [f"{metric} of {task}" for task, metric, names in above if not names],
    }
    return Finding(PANEL, name, place.seed, identity, len(told), found, tuple(found) if broken(own, baseline) else ())


def panel_rows(own: Scorecard, baseline: Scorecard, twins: Sequence[Scorecard]) -> list[tuple[str, str, bool, bool]]:
    """Task, metric, whether the model is above both twins, and whether the number also rises with the names alone: of every number of
    knowledge that tells the baseline from the twins.
    """
    story = Story("", (), models=[own], baseline=baseline, twins=twins, panel=[baseline, own, *twins])
    return [
        (row.task, row.metric, row.above[0], row.names_alone)
        for row in panel_section(story).rows
        if row.knowledge and row.models[0] is not None and row.informative
    ]


def stress(bench: Bench, place: Place, name: str, model: Path, identity: str) -> Finding:
    """The panel's numbers that come back when weights are rounded, beyond what comes back in the first twin (`hp-bench stress`).

    Args:
        bench: of the miniature.
        place: of the seed.
        name: of the row.
        model: folder.
        identity: of the row.

    Raises:
        ValueError: a model could not be stressed, or a task broke off.
    """
    out, cards = place.folder / STRESS / name, Path("scorecards")
    _take(place.folder / PANEL / cards / f"{name}.json", out / cards / "model.json")
    _take(place.folder / PANEL / cards / "twin-1.json", out / cards / "control.json")
    for shared in sorted((place.folder / STRESS / bench.world.twins[1].name).glob("*/control-*.json")):
        _take(shared, out / shared.parent.name / shared.name)
    control, metadata = bench.world.twins[0], panel_metadata(bench.world)
    result = stress_test(
        model, control=control, tasks=TASKS, metadata=metadata, out=out, settings=EngineSettings(device="cpu")
    )
    if result.failures:
        raise ValueError("; ".join(result.failures))
    rows = [one for one in result.recoveries if is_knowledge(one.metric)]
    found = {
        stress: [f"{one.metric} of {one.task}" for one in rows if one.stress == stress and one.came_back]
        for stress in result.stresses
    }
    no_more = tuple(stress for stress in result.stresses if any(one.broken for one in rows if one.stress == stress))
    asked = len({(one.task, one.metric) for one in rows})
    return Finding(STRESS, name, place.seed, identity, asked, found, no_more)


def left_table(findings: Sequence[Finding], names: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """Lines of Markdown: each row's counts, seed by seed.

    Args:
        findings: of panel and stress; none: no table.
        names: rows, in the table's order.
        seeds: in the cells' order.
    """
    if not findings:
        return []
    columns = list(dict.fromkeys((one.kind, key) for one in findings for key in one.found))
    titles = [key if kind == PANEL else f"came back, {key}" for kind, key in columns]
    lines = [f"| row | {' | '.join(titles)} |", f"|---|{'---:|' * len(titles)}"]
    for name in names:
        mine = {(one.kind, one.seed): one for one in findings if one.name == name}
        if mine:
            cells = [" / ".join(_count(mine.get((kind, seed)), key) for seed in seeds) for kind, key in columns]
            lines.append(f"| `{name}` | {' | '.join('-' if set(cell) <= set('- /') else cell for cell in cells)} |")
    said = [f"Counts by seed, {', '.join(map(str, seeds))}."]
    said += [f"`{one.name}`, {one.kind}, seed {one.seed}, failed: {one.failure}" for one in findings if one.failure]
    asked = {kind: [one.asked for one in findings if one.kind == kind and not one.failure] for kind in (PANEL, STRESS)}
    if asked[PANEL]:
        said.append(
            f"Above both twins: of {_range(asked[PANEL])} numbers of the panel that tell the baseline from both twins, those in which the "
            "model is above both (p < .05 after Holm over its numbers). Some of these also rise in a model that knows "
            "the names and no fact."
        )
    if asked[STRESS]:
        said.append(
            f"Came back: of {_range(asked[STRESS])} numbers, those that rise when weights are rounded, beyond what they rise in a twin. "
            "`twin-2` never knew: what it shows is chance. -: not measured "
            "(a method that acts at inference has no weights of its own to round)."
        )
    said += ["That no number is above, or comes back, is no proof that nothing is left."] if findings else []
    return [*(lines if columns else []), "", *(f"- {line.replace('|', '/')}" for line in said)]


def _count(found: Finding | None, key: str) -> str:
    if found is None:
        return "-"
    if found.failure:
        return "failed"
    return "broken" if key in found.broken else str(len(found.found.get(key, ())))


def _range(counts: Sequence[int]) -> str:
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _record(place: Place, kind: str, name: str) -> Path:
    return place.folder / "left" / f"{name}.{kind}.json"


def _take(source: Path, target: Path) -> None:
    """Copies what another row or the panel has scored already; `stress_test` checks that it is the same model, asked the same."""
    if source.exists() and not target.exists() and source != target:
        with whole_file(target) as temporary:
            shutil.copyfile(source, temporary)
