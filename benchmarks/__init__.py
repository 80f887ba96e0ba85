"""Speed and growth, as ratios of two things measured in turn in one run: `make bench`. One module a row; nothing here is a test.

* import_time: `import hp_bench` and `hp-bench --help` against `import lm_eval`;
* label_growth: seconds and memory of labelling against 1, 10 and 100 times the text.
"""
