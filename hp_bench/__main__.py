"""`python -m hp_bench`."""

from hp_bench.cli import main

if __name__ == "__main__":
    main()
