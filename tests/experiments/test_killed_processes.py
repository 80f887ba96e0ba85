"""A process of ours that is killed from outside: one sentence, exit code 1, no traceback."""

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from calls import answered, failed, killed, said_of_torchao, slept, span

from hp_bench.workers import side_by_side
from unlearn.exits import ProcessKilled, guarded


def test_calls_side_by_side_give_what_they_returned():
    assert side_by_side({"one": (answered, (1,)), "two": (answered, (2,))}) == {"one": 2, "two": 3}


def test_no_more_calls_at_a_time_than_there_is_memory_for(monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=19 << 30))
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    first, second = side_by_side({"one": (span, (0.5,)), "two": (span, (0.5,))}, gib=10).values()
    assert second[0] >= first[1]
    first, second = side_by_side({"one": (span, (5,)), "two": (span, (5,))}, gib=9).values()
    assert second[0] < first[1]


def test_imports_of_a_process_are_as_quiet_as_ours():
    assert side_by_side({"one": (said_of_torchao, ())}) == {"one": [False, True]}


def test_what_failed_is_said_before_the_others_are_done(tmp_path):
    with pytest.raises(ValueError, match="no such thing"):
        side_by_side({"slow": (slept, (tmp_path / "done",)), "fails": (failed, ())})
    assert not (tmp_path / "done").exists()


def test_a_call_that_is_killed_is_said_so():
    with pytest.raises(
        ProcessKilled, match=r"one of .*two was killed, perhaps for want of memory; .* the same command goes on"
    ):
        side_by_side({"one": (answered, (1,)), "two": (killed, ())})


def test_a_killed_process_is_a_run_that_failed(capsys):
    def command() -> None:
        raise ProcessKilled("pretraining twin-1")

    assert str(pickle.loads(pickle.dumps(ProcessKilled("pretraining twin-1")))) == str(
        ProcessKilled("pretraining twin-1")
    )
    with pytest.raises(SystemExit) as left:
        guarded(command, "hp-bench")
    said = capsys.readouterr().err
    assert left.value.code == 1 and said.count("\n") == 1 and said.startswith("hp-bench: pretraining twin-1 was killed")


def test_calls_end_with_the_process_that_asked_for_them(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom pathlib import Path\nfrom calls import waited\nfrom hp_bench.workers import side_by_side\n"
        "if __name__ == '__main__':\n    side_by_side({'one': (waited, (Path(sys.argv[1]),))})\n"
    )
    said = tmp_path / "pid"
    paths = os.pathsep.join([*sys.path, *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen([sys.executable, program, said], env={**os.environ, "PYTHONPATH": paths}) as parent:
        until(lambda: said.exists() and said.read_text())
        parent.kill()
    until(lambda: not alive(int(said.read_text())))


def until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # one that nobody has waited for is not alive
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
