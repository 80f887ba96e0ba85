"""Progress: bars on a terminal; in a log file, a line every half minute."""

import re
import time

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


def test_short_work_says_nothing(capsys):
    with progress.progress_bars() as bars:
        bars.advance(bars.add_task("reading", total=2))
    assert not capsys.readouterr().err.strip()
