"""`python -m hp_bench`."""

from hp_bench.cli import main

main()
