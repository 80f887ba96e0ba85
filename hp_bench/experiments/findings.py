"""What is left in a row's model, and what comes back: the panel against both twins, and stress against a twin; kept row by row."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from hp_bench.engines.loader import EngineSettings
from hp_bench.experiments.measure import PANEL, Bench, Model, bench_of
from hp_bench.experiments.rows import Row
from hp_bench.experiments.store import SeedFolder, checkpoint_at, read_record, sentence
from hp_bench.experiments.training import model_of, run_of
from hp_bench.miniature.panel import TASKS, panel_metadata
from hp_bench.miniature.train import Miniature
from hp_bench.report.panel import PanelRow, panel_section
from hp_bench.report.story import Story
from hp_bench.results.compare import broken
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Scorecard, failures
from hp_bench.stress.run import stress_test
from unlearn.files import whole_file, write_json

log = logging.getLogger(__name__)

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

    def count(self, key: str) -> str:
        """How many numbers a key of `found` has, in a word where there is no count."""
        if self.failure:
            return "failed"
        return "broken" if key in self.broken else str(len(self.found.get(key, ())))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {key: value for key, value in asdict(self).items() if key != "fingerprint"}


def known(folder: SeedFolder, kind: str, name: str, identity: str) -> Finding | None:
    """What is kept of a row, if it was made from the same and did not fail."""
    return read_record(_record(folder, kind, name), identity, TypeAdapter(Finding))


def keep(folder: SeedFolder, finding: Finding) -> Finding:
    """Keeps what was found of a row."""
    write_json(_record(folder, finding.kind, finding.name), asdict(finding), sort_keys=False)
    return finding


def ask_own(folder: SeedFolder, name: str) -> None:
    """Asks baseline or a twin the panel, in a process of its own: what rows are held against."""
    bench = bench_of(folder)
    bench.panel(bench.own[name])


def look(folder: SeedFolder, name: str, row: Row | None, identity: str, kinds: Sequence[str]) -> list[Finding]:
    """Panel or stress of one row (without a row, of the world's own model), or both, in a process of its own; kept, the failure too."""
    bench, findings = bench_of(folder), []
    for kind in kinds:
        try:
            model = bench.own[name] if row is None else _chosen(folder, name, row, bench)
            finding = (panel if kind == PANEL else stress)(bench, folder, model, identity)
        except Exception as error:
            log.debug("%s of row %s failed", kind, name, exc_info=True)
            finding = Finding(kind, name, folder.seed, identity, failure=sentence(error))
        findings.append(keep(folder, finding))
    return findings


def _chosen(folder: SeedFolder, name: str, row: Row, bench: Bench) -> Model:
    """The checkpoint chosen of a row's finished run."""
    recipe, _ = run_of(row, name, bench.world, folder)
    return model_of(name, recipe, checkpoint_at(Path(recipe.out), row.step), row.step)


def panel(bench: Bench, folder: SeedFolder, model: Model, identity: str) -> Finding:
    """The panel's numbers in which a model is above both twins (p < .05 after Holm over its numbers).

    Raises ValueError: a task broke off, for this model, the baseline or a twin.
    """
    own, baseline = bench.panel(model), bench.panel(bench.own["baseline"])
    twins = [bench.panel(bench.own[twin.name]) for twin in bench.world.twins]
    for card in (own, baseline, *twins):
        if card.failed:
            raise ValueError("; ".join(failures([card])) or f"prompts of {card.name} were unscored")
    told = panel_rows(own, baseline, twins)
    above = [row for row in told if row.above[0]]
    numbers = {
        ABOVE: [f"{row.metric} of {row.task}" for row in above],
        NOT_NAMES: [f"{row.metric} of {row.task}" for row in above if not row.how.names_alone],
    }
    nothing_said = tuple(numbers) if broken(own, baseline) else ()
    return Finding(PANEL, model.name, folder.seed, identity, len(told), numbers, nothing_said)


def panel_rows(own: Scorecard, baseline: Scorecard, twins: Sequence[Scorecard]) -> list[PanelRow]:
    """The numbers of knowledge that tell the baseline from the twins."""
    story = Story("", (), models=[own], baseline=baseline, twins=twins, panel=[baseline, own, *twins])
    rows = panel_section(story).rows
    return [row for row in rows if row.how.knowledge and row.models[0] is not None and row.informative]


def stress(bench: Bench, folder: SeedFolder, model: Model, identity: str) -> Finding:
    """The panel's numbers that come back when weights are rounded, beyond what comes back in the first twin (`hp-bench stress`).

    Raises ValueError: a model could not be stressed, or a task broke off.
    """
    out, cards = folder.path / STRESS / model.name, Path("scorecards")
    _take(folder.path / PANEL / cards / f"{model.name}.json", out / cards / "model.json")
    _take(folder.path / PANEL / cards / "twin-1.json", out / cards / "control.json")
    for shared in sorted((folder.path / STRESS / "twin-2").glob("*/control-*.json")):
        _take(shared, out / shared.parent.name / shared.name)
    assert isinstance(bench.world, Miniature)
    control, metadata = bench.world.twins[0], panel_metadata(bench.world)
    assert isinstance(model.weights, Path)  # a live model has none to round
    result = stress_test(
        model.weights, control=control, tasks=TASKS, metadata=metadata, out=out, settings=EngineSettings(device="cpu")
    )
    if result.failures:
        raise ValueError("; ".join(result.failures))
    rows = [one for one in result.recoveries if METRICS[one.metric].knowledge]
    by_stress = {stress: [one for one in rows if one.stress == stress] for stress in result.stresses}
    numbers = {
        stress: [f"{one.metric} of {one.task}" for one in each if one.came_back] for stress, each in by_stress.items()
    }
    destroyed = tuple(stress for stress, each in by_stress.items() if any(one.broken for one in each))
    asked = len({(one.task, one.metric) for one in rows})
    return Finding(STRESS, model.name, folder.seed, identity, asked, numbers, destroyed)


def _record(folder: SeedFolder, kind: str, name: str) -> Path:
    return folder.path / "left" / f"{name}.{kind}.json"


def _take(source: Path, target: Path) -> None:
    """Copies what another row or the panel has scored already; `stress_test` checks that it is the same model, asked the same."""
    if source.exists() and not target.exists() and source != target:
        with whole_file(target) as temporary:
            shutil.copyfile(source, temporary)
