"""A process that has imported everything and computed nothing: each line it reads is a run, made in a fork of it.

A run is `recipe<TAB>kill after seconds`; the answer is `exit status<TAB>seconds<TAB>name of the stage that was interrupted`. Forking saves the
ten seconds of imports that fifty killed runs would each pay; nothing that starts threads has run before the fork.
"""

import os
import signal
import sys
import time
from pathlib import Path

import torch

import unlearn.cli
import unlearn.methods.whp
from unlearn.recipe import Recipe


def child(recipe: str) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    torch.set_num_threads(1)
    unlearn.methods.whp.run(Recipe.load(recipe))


def main() -> None:
    for line in sys.stdin:
        recipe, limit = line.rstrip("\n").split("\t")
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            try:
                child(recipe)
                os._exit(0)
            except BaseException:
                os._exit(1)
        status, interrupted = None, ""
        while status is None:
            done, code = os.waitpid(pid, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(code)
            elif time.monotonic() - began > float(limit):
                os.kill(pid, signal.SIGKILL)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                out = Path(Recipe.load(recipe).out)
                interrupted = next((p.name for p in sorted(out.glob("*.tmp"))), "between stages")
            else:
                time.sleep(0.003)
        print(status, time.monotonic() - began, interrupted, sep="\t", flush=True)


if __name__ == "__main__":
    main()
