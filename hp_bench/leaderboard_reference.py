"""The rows of the leaderboard for which nothing is trained: the baseline and the twins; and the instruments that a process keeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import cast

from rich.progress import Progress

from hp_bench import progress
from hp_bench.leaderboard_choice import Candidate
from hp_bench.leaderboard_measure import Bench, RowScore
from hp_bench.leaderboard_place import Place, identity_of, sentence
from hp_bench.side_by_side import Relay, one_thread, quiet_bars


def measure_own(place: Place, name: str, relay: Relay) -> RowScore:
    """Measures baseline or twin-N, in a process of its own."""
    with drawn(relay):
        bench = bench_of(place)
        identity, models = identity_of(bench.world, {}), {twin.name: twin for twin in bench.world.twins}
        twin = list(models).index(name) if name in models else None
        model, step = (models[name], None) if twin is not None else (bench.world.baseline, 0)
        try:
            score = bench.measure(name, model, seed=place.seed, fingerprint=identity, step=step, twin=twin)
        except Exception as error:
            score = RowScore(name, place.seed, identity, failure=sentence(error))
        place.keep(score)
        return score


def try_baseline(place: Place, relay: Relay) -> None:
    """Measures what candidates are held against, in a process of its own."""
    with drawn(relay):
        bench = bench_of(place)
        numbers = bench.familiarity_and_distances("baseline", bench.world.baseline)
        place.keep_candidates("baseline", 0, identity_of(bench.world, {}), [Candidate("baseline", {}, 0, *numbers)])


@lru_cache(maxsize=1)
def bench_of(place: Place) -> Bench:
    """A seed's instruments: one for all rows that a process measures."""
    return Bench(place.miniature, place.folder)


@contextmanager
def drawn(relay: Relay) -> Iterator[None]:
    """A call in a process of its own: one thread, its progress drawn by the first process."""
    quiet_bars()
    with one_thread(), progress.shown_by(cast(Progress, relay)):
        yield
