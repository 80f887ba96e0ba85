"""Speed and growth, as ratios of two things measured in turn in one run: `make bench`. One module may serve several rows; nothing here is a
test.

* import_time: `import hp_bench` and `hp-bench --help` against `import lm_eval`;
* score: one model, `hp-bench score` against plain `lm_eval`;
* curve, curve_vllm: seven checkpoints, `hp-bench curve` against seven plain `lm_eval` commands, in transformers and in vLLM;
* labels: labelling against the textbook way and against the floor, tokens/s;
* label_memory: its peak memory against the textbook way;
* finetune: fine-tuning against plain transformers.Trainer, tokens/s and peak memory;
* translate_align: translating and aligning against tokenising once;
* anchor_growth, rank_growth: translating with 10 to 10,000 anchors; labelling by one process and by two;
* checkpoint_growth, label_growth: seconds and memory of a curve of 1, 10 and 50 checkpoints; of labelling 1, 10 and 100 times the text;
* gpu, on a machine with one: the paper's method at the size of Llama-2-7B.

`real_...` is the same of SmolLM2-135M, and besides:

* real_quick: `hp-bench score --quick`;
* real_chat, real_score_vllm: `score` through the chat template, and in vLLM;
* real_prompt_growth, real_token_growth: `score` of 30, 90 and 300 prompts; of up to 20, 80 and 320 new tokens.

HP_BENCH_QUICK=1 does less of everything, on all sides alike: a real row in a few minutes.
"""
