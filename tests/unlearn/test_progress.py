"""Progress: bars on a terminal; in a log file, a line every half minute."""

import re
import time

from rich.progress import Progress

from unlearn import progress


def test_a_log_file_gets_lines_with_stage_steps_and_time(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_LINE_EVERY", 0.05)
    with progress.progress_bars() as bars:
        row = bars.add_task("reinforcing", total=40)
        with progress.progress_bars() as inner:  # nested: one display, said once
            assert inner is bars
        bars.advance(row, 10)
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if re.fullmatch(r"reinforcing: 10 of 40, 0:00:0\d(, .* left)?", line)]
    assert 2 <= len(said) <= 8
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_the_time_left_grows_while_nothing_moves():
    """`0:00:01 left` stood there for a minute."""
    now = [0.0]
    column = progress.TimeLeft()
    bars = Progress(column, get_time=lambda: now[0])
    row = bars.add_task("reinforcing", total=40)
    assert str(column.render(bars.tasks[0])) == ""

    def left(at: float, steps: int = 0) -> str:
        now[0] = at
        bars.advance(row, steps) if steps else None
        return str(column.render(bars.tasks[0]))

    for second in range(1, 40):
        said = left(second, 1)
    assert said == "0:00:01"
    assert [left(39 + waited) for waited in (1, 30, 90)] == ["0:00:01", "0:00:30", "0:01:30"]
    assert left(130, 1) == "0:00:00"  # the last step


def test_short_work_says_nothing(capsys):
    """A blank line stood in the log for every display."""
    with progress.progress_bars() as bars:
        bars.advance(bars.add_task("reading", total=2))
    assert capsys.readouterr().err == ""
