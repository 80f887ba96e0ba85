"""Run directory -> one self-contained page: no external file, readable on a phone, in print, in the dark and by colour-blind people."""

from hp_bench.report.page import write_report
from hp_bench.report.story import Method, Story

__all__ = ["Method", "Story", "write_report"]
