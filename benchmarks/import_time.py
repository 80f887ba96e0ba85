"""Start-up: `import hp_bench` and `hp-bench --help` against `import lm_eval`, median of fresh interpreters in turn."""

import subprocess
import sys
import time
from statistics import median
from typing import Any

ROUNDS = 5
COMMANDS = {
    "nothing": ["-c", "pass"],
    "import hp_bench": ["-c", "import hp_bench"],
    "hp-bench --help": ["-m", "hp_bench", "--help"],
    "import lm_eval": ["-c", "import lm_eval, lm_eval.evaluator, lm_eval.models"],
}


def run() -> list[dict[str, Any]]:
    """One result a command: seconds, and its share of `import lm_eval`."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - began)
    host = median(seconds["import lm_eval"])
    return [
        {"command": name, "seconds": median(s), "of import lm_eval": median(s) / host} for name, s in seconds.items()
    ]
