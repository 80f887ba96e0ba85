"""Start-up: `import hp_bench` and `hp-bench --help` against `import lm_eval`, median of fresh interpreters in turn: goal 1/10."""

from typing import Any

from benchmarks.timed import Cost, middle, timed

ROUNDS = 5
COMMANDS = {
    "nothing": ["-c", "pass"],
    "import hp_bench": ["-c", "import hp_bench"],
    "hp-bench --help": ["-m", "hp_bench", "--help"],
    "import lm_eval": ["-c", "import lm_eval, lm_eval.evaluator, lm_eval.models"],
}


def run() -> list[dict[str, Any]]:
    """One result a command, and its share of `import lm_eval`."""
    costs: dict[str, list[Cost]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            costs[name].append(timed(arguments))
    host = middle(costs["import lm_eval"])
    return [
        {
            "command": name, "seconds": cost.seconds, "of import lm_eval": cost.seconds / host.seconds,
            "processor seconds": cost.processor, "of its processor time": cost.processor / host.processor,
        }
        for name, cost in ((name, middle(found)) for name, found in costs.items())
    ]  # fmt: skip
