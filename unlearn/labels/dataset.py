"""Labels on disk: shards of a fixed composition, then one Hugging Face dataset.

A shard holds a fixed number of batches, so it has the same bytes whoever makes it and however often the run was interrupted. Under
several processes shard n is made by rank n modulo the number of ranks; rank 0 joins them.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Sequence, Value, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.corpus.blocks import Blocks, grouped
from unlearn.corpus.corpus import Corpus
from unlearn.files import write_json, write_table
from unlearn.labels.align import LabelReport
from unlearn.labels.labeller import Labeller
from unlearn.labels.rule_two import TargetNames, frequent_tokens
from unlearn.models import processes
from unlearn.progress import progress_row
from unlearn.settings import LabelSettings, alpha_column

#: Batches a shard: about 64 blocks, half a minute of a 7B model on one GPU. What a killed run loses at most.
SHARD_BATCHES = 8

#: In the dataset's folder: what was counted; shards not yet joined; shards that are.
REPORT, _SHARDS, _JOINED = "report.json", "shards", "joined"


def features(settings: LabelSettings) -> Features:
    """Columns of a label dataset; see docs/method.md, "Storage"."""
    ids = Sequence(Value("int32"))
    columns: dict[str, Any] = {"input_ids": ids, "labels": ids}
    columns |= {alpha_column(alpha): ids for alpha in settings.alphas[1:]}
    if settings.top_k:
        columns |= {"top_ids": Sequence(ids), "top_logits": Sequence(Sequence(Value("float32")))}
    places = {"document": Value("string"), "block": Value("int32"), "start": Value("int64"), "end": Value("int64")}
    return Features({**columns, **places})


def write_shards(blocks: Blocks, label: Labeller, folder: Path) -> None:
    """Writes this rank's share of the shards of a whole corpus into a folder; one that exists is finished and is left alone."""
    state, settings = processes(), label.settings
    folder.mkdir(parents=True, exist_ok=True)
    share = -(-len(blocks) // state.num_processes)
    with progress_row("labelling, blocks", share, enabled=state.is_main_process) as advance:
        for number, shard in enumerate(grouped(grouped(blocks, settings.batch_blocks), SHARD_BATCHES)):
            path = folder / f"shard-{number:06d}.arrow"
            if number % state.num_processes != state.process_index:
                continue
            if path.exists():
                advance(sum(map(len, shard)))
                continue
            rows, report = [], LabelReport()
            for batch in shard:
                made, counted = label(batch)
                rows += made
                report.add(counted)
                advance(len(batch))
            # The report first, so that a shard that exists has one.
            path.with_suffix(".json").write_text(json.dumps(report.to_dict()))
            write_table(path, features(settings), rows)


def join_shards(folder: Path, out: Path, fingerprint: str) -> LabelReport:
    """Joins a folder's shards into one dataset at `out`, in order, and adds up their reports. Memory-mapped: size does not matter.

    The folder is removed when `out` is complete. `fingerprint` takes the place of the library's, which holds times.
    """
    shards = sorted(folder.glob("shard-*.arrow"))
    report = LabelReport()
    for shard in shards:
        report.add(LabelReport.read(shard.with_suffix(".json")))
    whole = concatenate_datasets([Dataset.from_file(str(shard)) for shard in shards])
    whole._fingerprint = fingerprint[:16]
    whole.save_to_disk(str(out))
    del whole
    write_json(out / REPORT, report.to_dict())
    shutil.rmtree(folder.rename(out / _JOINED))
    return report


def make_labels(
    baseline: Any, reinforced: Any, tokenizer: PreTrainedTokenizerBase, corpus: Corpus | Blocks, anchors: AnchorDictionary,
    settings: LabelSettings | None = None, *, out: Path | str, fingerprint: str = "",
) -> LabelReport:  # fmt: skip
    """Labels a corpus, and returns what was counted, on rank 0 alone; under `accelerate launch` all processes share the work.

    Args:
        baseline: reads translated blocks; a loaded causal language model.
        reinforced: reads source blocks; None for the ablation without reinforcement.
        tokenizer: of both, fast.
        corpus: the unlearn target, or its blocks.
        anchors: its dictionary.
        settings: how; default: the paper's.
        out: dataset folder, for `datasets.load_from_disk`. What an interrupted call left there is used.
        fingerprint: identifies the content in the dataset's state file.

    Raises ValueError: the corpus is empty, vocabularies differ, a block outgrows the context, or a model returns NaN.
    """
    settings, out, state = settings or LabelSettings(), Path(out), processes()
    joined = (out / _JOINED).exists()  # a run was killed while it threw away its shards
    state.wait_for_everyone()
    if joined:
        if state.is_main_process:
            shutil.rmtree(out / _JOINED)
        return LabelReport.read(out / REPORT) if state.is_main_process else LabelReport()
    blocks = corpus if isinstance(corpus, Blocks) else Blocks.open(corpus, tokenizer, settings.block_tokens)
    frequent = frequent_tokens(blocks, outside=anchors if settings.forbid == "rename" else None)
    names = TargetNames(tokenizer, anchors, blocks) if settings.forbid_names else None
    labeller = Labeller(baseline, reinforced, tokenizer, anchors, settings, frequent=frequent, names=names)
    write_shards(blocks, labeller, out / _SHARDS)
    state.wait_for_everyone()
    return join_shards(out / _SHARDS, out, fingerprint) if state.is_main_process else LabelReport()
