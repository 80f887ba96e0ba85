"""`unlearn`: run | reinforce | label | finetune | anchors.

stdout holds results, stderr log and progress. Exit codes: 0 done, 1 the run failed, 2 the user's mistake.
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from rich.console import Console

from unlearn.anchors.command import CorpusName, Json, Seed
from unlearn.anchors.command import anchors as anchors_command
from unlearn.exits import guarded
from unlearn.progress import quiet_bars

app = typer.Typer(
    help="Approximate unlearning in language models, after arXiv:2310.02238.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False, rich_markup_mode=None, context_settings={"max_content_width": 120},
)  # fmt: skip

_out = Console()
Model = Annotated[str, typer.Option(help="Baseline, the model before unlearning: folder or hub id.")]
BlockTokens = Annotated[int, typer.Option(help="Largest number of tokens in a block.")]
Callbacks = Annotated[
    list[str] | None,
    typer.Option("--callback", help="Trainer callback for the fine-tune, as package.module:Class. Repeatable."),
]
Device = Annotated[str, typer.Option(help="Device: auto, cpu, cuda, mps or split (layers over several GPUs).")]
Dtype = Annotated[str, typer.Option(help="Number type of the weights: auto, float32, bfloat16, float16 or float64.")]
_NO_TIME = "time is not estimated here: a run shows its rate and the time left from its first steps on"
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Training settings as key=value, such as learning_rate=1e-5.")
]


def main() -> None:
    """Entry point: a user's mistake is one sentence and exit code 2."""
    try:
        guarded(app, "unlearn")
    except SystemExit as end:
        if not end.code:
            _leave_process_group()
        raise


def _leave_process_group() -> None:
    """Several processes part in order, without Python's own end: a thread of the group that wants the lock then aborts the process."""
    distributed = sys.modules.get("torch.distributed")
    if distributed and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


@app.callback()
def _verbosity(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more messages.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("unlearn").setLevel(level)
    if not verbose:  # what one library of ours will have to change in another
        warnings.filterwarnings("ignore", category=FutureWarning)


@app.command()
def run(
    recipe: Annotated[
        Path,
        typer.Argument(
            help="Recipe (a YAML file). smollm2-soft.yaml, smollm2.yaml and llama2-7b-chat.yaml come with the package, and need no folder."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Changes to the recipe as key=value, such as finetune.learning_rate=1e-5."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Print blocks, steps, memory and disk space, and stop.")] = False,
    callback: Callbacks = None,
    as_json: Json = False,
) -> None:
    """Runs an unlearning method from a recipe.

    The default method, whp, does what reinforce, label and finetune do. An interrupted run continues where it stopped.
    """
    from unlearn.methods import run as run_method
    from unlearn.pipeline.plan import plan
    from unlearn.recipe import Recipe

    loaded = Recipe.load(recipe, overrides or [])
    planned = plan(loaded, keep=not dry_run)
    for warning in planned.warnings:
        logging.getLogger("unlearn").warning(warning)
    if dry_run:
        said = () if as_json else ("warnings",)  # above
        _show({key: value for key, value in asdict(planned).items() if key not in said}, as_json)
        logging.getLogger("unlearn").info(_NO_TIME)
        return
    quiet_bars()
    checkpoints = run_method(loaded, callbacks=[_load(name)() for name in callback or []])
    if _first_rank():
        _show(_result(checkpoints), as_json)


@app.command()
def reinforce(
    model: Model,
    corpus: CorpusName,
    out: Annotated[Path, typer.Option(help="Folder for the reinforced model.")],
    overrides: Overrides = None,
    block_tokens: BlockTokens = 512,
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print blocks, steps and memory, and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Fine-tunes the baseline on the unlearn target."""
    from unlearn.pipeline import stages
    from unlearn.pipeline.plan import plan

    quiet_bars()
    labels = {"block_tokens": block_tokens, "use_anchors": False}
    fixed: dict[str, Any] = {"device": device, "dtype": dtype, "seed": seed}
    recipe = _recipe("reinforce", overrides, model=model, corpus=corpus, out=out, labels=labels, **fixed)
    if dry_run:
        planned, keys = asdict(plan(recipe)), "documents blocks tokens reinforce_steps parameters training_gib".split()
        _show({key: planned[key] for key in keys}, as_json)
        logging.getLogger("unlearn").info(_NO_TIME)
        return
    target = stages.Target.open(recipe)
    made = stages.reinforce(recipe, target, stages.RunDirectory(out.parent), name=out.name)
    _show({"reinforced": str(made)}, as_json)


@app.command()
def label(
    baseline: Model,
    corpus: CorpusName,
    anchors: Annotated[Path, typer.Option(help="anchors.jsonl, made by `unlearn anchors`.")],
    out: Annotated[Path, typer.Option(help="Folder for the labels.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Settings of the labels as key=value, as in a recipe, such as alphas=[2.5,5], forbid=rename or soft=true."
        ),
    ] = None,
    reinforced: Annotated[
        Path | None,
        typer.Option(help="Folder of the reinforced model. Without it, labels come from the anchors alone."),
    ] = None,
    block_tokens: BlockTokens = 512,
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Makes the generic labels to train on.

    The result is a Hugging Face dataset that any Trainer can read.
    """
    from unlearn.labels.dataset import REPORT, LabelReport
    from unlearn.pipeline import stages

    quiet_bars()
    labels = {"block_tokens": block_tokens, "use_reinforced": reinforced is not None}
    fixed: dict[str, Any] = {"device": device, "dtype": dtype, "seed": seed}
    recipe = _recipe(
        "labels", overrides, model=baseline, corpus=corpus, anchors=anchors, out=out, labels=labels, **fixed
    )
    target = stages.Target.open(recipe)
    made = stages.label(recipe, target, stages.RunDirectory(out.parent), reinforced, name=out.name)
    if _first_rank():
        report = LabelReport.read(made / REPORT)
        for warning in report.warnings():
            logging.getLogger("unlearn").warning(warning)
        _show({"labels": str(made), "anchors": target.anchors.report(), **report.to_dict()}, as_json)


@app.command()
def finetune(
    model: Model,
    labels: Annotated[Path, typer.Option(help="Folder of labels, made by `unlearn label`.")],
    out: Annotated[Path, typer.Option(help="Folder for the checkpoints.")],
    overrides: Overrides = None,
    column: Annotated[str, typer.Option(help="Column of the labels to train on, such as labels_alpha_2.5.")] = "labels",
    soft: Annotated[bool, typer.Option(help="Train on the soft labels.")] = False,
    temperature: Annotated[float, typer.Option(help="Temperature of the soft labels.")] = 1.0,
    callback: Callbacks = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fine-tunes the baseline on generic labels."""
    from unlearn.models import load_tokenizer
    from unlearn.pipeline import stages

    quiet_bars()
    fixed: dict[str, Any] = {"device": device, "dtype": dtype, "seed": seed}
    section = {"soft": soft, "temperature": temperature}
    recipe = _recipe("finetune", overrides, model=model, corpus="labels", out=out, labels=section, **fixed)
    if not (labels / "dataset_info.json").is_file():
        raise ValueError(f"labels {str(labels)!r} is not a label dataset (made by `unlearn label`)")
    rundir, callbacks = stages.RunDirectory(out), [_load(name)() for name in callback or []]
    made = stages.finetune(recipe, load_tokenizer(model), rundir, labels, column=column, callbacks=callbacks)
    if _first_rank():
        _show(_result(made), as_json)


app.command(name="anchors")(anchors_command)


def _recipe(section: str, overrides: Sequence[str] | None, **content: Any) -> Any:
    from unlearn.recipe import Recipe, override

    content.setdefault("anchors", "")
    if section == "reinforce":
        content["reinforce"] = {"epochs": 3, "learning_rate": 3e-6, "save_every": 0}
    for change in overrides or []:
        override(content, f"{section}.{change}")
    return Recipe.build(content, where="options")


def _result(checkpoints: Path) -> dict[str, Any]:
    steps = (folder.name.removeprefix("checkpoint-") for folder in checkpoints.glob("checkpoint-*"))
    return {"checkpoints": str(checkpoints), "steps": sorted(int(step) for step in steps if step.isdecimal())}


def _load(name: str) -> Any:
    """`package.module:object`."""
    try:
        if ":" not in name:
            raise ImportError("no colon")
        return resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"callback {name!r} is not package.module:Class ({error})") from None


def _show(content: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(content, indent=1))  # noqa: T201
        return
    for key, value in content.items():
        value = "; ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else value
        _out.print(f"{key}: {value}", highlight=False, markup=False, soft_wrap=True)


def _first_rank() -> bool:
    from unlearn.models import processes

    return bool(processes().is_main_process)
