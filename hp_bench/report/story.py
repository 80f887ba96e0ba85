"""What a report tells: methods with their curves and samples, the twins, and what was run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hp_bench.results.curve import Curve
from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.distances import Distance
from hp_bench.stress.patching import Inspection
from hp_bench.stress.run import StressResult

Samples = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Story:
    """Everything a report shows.

    Attributes:
        title: of the page.
        methods: curves from the baseline on, their first scorecard; may be empty where there are models.
        models: scorecards of models on no curve; compared with the baseline if there is one.
        baseline: what `models` are compared with.
        twins: scorecards of models that never read the target.
        samples: scorecard name -> task -> samples, as `hp_bench.scoring.store.save` writes them.
        distances: to the twins.
        panel: scorecards of the panel, named as those of the models above.
        stress: results of stress tests.
        inspected: what hidden states hold, and the name of the twin that was put beside.
        run: what was run, for the last section: plain values.
        notes: sentences the reader must know.
    """

    title: str
    methods: Sequence[Curve]
    models: Sequence[Scorecard] = ()
    baseline: Scorecard | None = None
    twins: Sequence[Scorecard] = ()
    samples: Mapping[str, Mapping[str, Samples]] = field(default_factory=dict)
    distances: Sequence[Distance] = ()
    panel: Sequence[Scorecard] = ()
    stress: Sequence[StressResult] = ()
    inspected: tuple[Sequence[Inspection], str] | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def start(self) -> Scorecard | None:
        """The first of every curve; without curves, the baseline."""
        return self.methods[0].points[0] if self.methods else self.baseline

    @property
    def ends(self) -> list[Scorecard]:
        """The baseline, the last of each method, and the models on no curve."""
        return [*([self.start] if self.start else []), *(method.points[-1] for method in self.methods), *self.models]

    def completions(self, name: str, task: str) -> dict[str, Mapping[str, Any]]:
        """A scorecard's samples of a task, by prompt id."""
        return {sample["id"]: sample for sample in self.samples.get(name, {}).get(task, ())}
