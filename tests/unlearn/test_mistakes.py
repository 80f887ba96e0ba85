"""A user's mistake is one sentence on stderr that names the value, exit code 2, and nothing half-written."""

import errno
import json
import shutil
import sys
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from unlearn import files
from unlearn.cli import main
from unlearn.files import find_model


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("mistakes")
    tiny.save(root / "base")
    (root / "target.txt").write_text("\n".join(tiny.TEXT))
    (root / "anchors.jsonl").write_text(json.dumps({"anchor": "Nora", "translations": ["Ann", "Eve"]}))
    return root


@pytest.fixture
def command(place, tmp_path, monkeypatch, capsys):
    """Runs `unlearn ...`; returns exit code, stdout, stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["unlearn", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        return left.value.code or 0, captured.out, captured.err

    return call


def label(command, place, out, *flags, **options) -> tuple[int, str, str]:
    given = {"baseline": place / "base", "reinforced": place / "base", "corpus": place / "target.txt", "anchors": place / "anchors.jsonl",
             "out": out, "device": "cpu", "block-tokens": 48, **options}  # fmt: skip
    return command("label", *(part for key, value in given.items() for part in (f"--{key}", value)), *flags)


def recipe(place: Path, path: Path, **changes) -> Path:
    import yaml

    content = {"model": str(place / "base"), "corpus": str(place / "target.txt"), "anchors": str(place / "anchors.jsonl"),
               "out": str(path.parent / "run"), "device": "cpu", "labels": {"block_tokens": 48}, **changes}  # fmt: skip
    path.write_text(yaml.safe_dump(content))
    return path


def model_with(place: Path, folder: Path, change) -> Path:
    import shutil

    shutil.copytree(place / "base", folder)
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def refused(result: tuple[int, str, str], *, sentence: str) -> None:
    code, out, err = result
    lines = [line for line in err.splitlines() if line.startswith("unlearn:")]
    assert code == 2, err
    assert len(lines) == 1 and sentence in lines[0], err
    assert "Traceback" not in err and not out


def test_it_works_when_nothing_is_wrong(command, place, tmp_path):
    code, out, err = label(command, place, tmp_path / "labels")
    assert code == 0, err
    assert "anchors_kept" in out and (tmp_path / "labels" / "state.json").exists()


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_empty_corpus(command, place, tmp_path, text):
    (tmp_path / "empty.txt").write_text(text)
    refused(
        label(command, place, tmp_path / "labels", corpus=tmp_path / "empty.txt"), sentence="empty.txt' holds no text"
    )
    assert not (tmp_path / "labels").exists()


@pytest.mark.parametrize("key", ["model", "corpus", "anchors", "out", "retain.corpus"])
def test_a_path_of_a_recipe_that_leads_nowhere_is_told_with_its_key(command, place, tmp_path, key):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text(" ")
    path = recipe(place, tmp_path / "r.yaml", retain={"corpus": str(place / "base" / "config.json")})
    for value in ("no.txt", "empty", "file.txt") if key != "out" else ("file.txt/run",):
        code, _, err = command("run", path, f"{key}={tmp_path / value}", *(["--dry-run"] if key != "out" else []))
        assert code == 2 and f"unlearn: {key} " in err and repr(str(tmp_path / value)) in err, (value, err)


def test_a_corpus_of_one_token(command, place, tmp_path):
    (tmp_path / "one.txt").write_text("Nora")
    code, _, err = label(command, place, tmp_path / "labels", corpus=tmp_path / "one.txt")
    assert code == 0, err


def test_corpus_without_an_anchor(command, place, tmp_path):
    (tmp_path / "other.txt").write_text("Nobody of that name lives here.")
    refused(
        label(command, place, tmp_path / "labels", corpus=tmp_path / "other.txt"),
        sentence="holds none of the 1 anchors of",
    )


def test_missing_corpus_anchors_and_model(command, place, tmp_path):
    refused(
        label(command, place, tmp_path / "l", corpus=tmp_path / "no.txt"),
        sentence="no.txt' is neither a file, a folder nor",
    )
    refused(
        label(command, place, tmp_path / "l", anchors=tmp_path / "no.jsonl"),
        sentence="no.jsonl' cannot be read: No such file",
    )
    refused(label(command, place, tmp_path / "l", baseline=tmp_path / "no-model"), sentence="no-model' does not exist")
    refused(
        label(command, place, tmp_path / "l", reinforced=tmp_path / "no-model"), sentence="no-model' does not exist"
    )


def test_a_missing_model_beside_folders_that_are_there_is_not_looked_for_on_the_hub(
    command, place, tmp_path, monkeypatch
):
    """`model=runs/taught` took half a minute of attempts, and was then said to be no repo id."""
    monkeypatch.setattr(files, "offline_if_unknown", lambda: pytest.fail("the hub was to be asked"))
    monkeypatch.chdir(place)
    (place / "runs").mkdir(exist_ok=True)
    for name in ("runs/taught", "runs/real/models/taught", "taught/"):
        changed = recipe(place, tmp_path / "r.yaml", model=name)
        refused(command("run", changed, "--dry-run"), sentence=f"model folder {name!r} does not exist")


def test_a_fetched_model_is_called_by_its_name_and_one_that_is_not_fetched_says_how(
    command, place, tmp_path, monkeypatch
):
    changed = recipe(place, tmp_path / "r.yaml", model="smollm2")
    monkeypatch.setenv("HP_BENCH_CACHE", str(tmp_path / "cache"))
    refused(command("run", changed, "--dry-run"), sentence="'smollm2' is not here yet: `hp-bench fetch smollm2` downl")
    shutil.copytree(place / "base", tmp_path / "cache" / "smollm2")
    assert command("run", changed, "--dry-run")[0] == 0
    assert find_model("smollm2") == str(tmp_path / "cache" / "smollm2")


def test_a_recipe_of_the_package_is_found_by_its_name_from_anywhere(command, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hogwarts.txt").write_text("Harry Potter went to Hogwarts. " * 40)
    given = (f"model={place / 'base'}", "corpus=hogwarts.txt", f"retain.corpus={place / 'target.txt'}", "--dry-run")
    for name in ("smollm2-soft.yaml", "recipes/smollm2-soft.yaml"):
        code, out, err = command("run", name, *given)
        assert code == 0 and "anchors: 2" in out, err
    refused(command("run", "elsewhere/smollm2.yaml", *given), sentence="'elsewhere/smollm2.yaml' cannot be read")
    lacks = (given[0], given[1], "--dry-run")  # a file of the recipe's own, of which the user has not heard
    said = "retain.corpus 'runs/real/text/neutral.jsonl' is neither a file, a folder nor a Hugging Face dataset id (owner/name); it is text"
    refused(command("run", "smollm2-soft.yaml", *lacks), sentence=said)
    (tmp_path / "smollm2.yaml").write_text("- mine")
    refused(command("run", "smollm2.yaml", *given), sentence="'smollm2.yaml' must be a mapping")


def test_corpus_that_is_not_text(command, place, tmp_path):
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00Nora")
    refused(
        label(command, place, tmp_path / "l", corpus=tmp_path / "binary.txt"), sentence="is not UTF-8 text (byte 0)"
    )
    (tmp_path / "rows.jsonl").write_text('{"text": "Nora"}\n{"body": "x"}\n')
    refused(
        label(command, place, tmp_path / "l", corpus=tmp_path / "rows.jsonl"),
        sentence="line 2: no text in 'text'; there is body",
    )


def test_tokenizer_without_offsets(command, place, tmp_path, monkeypatch):
    import unlearn.models

    class Slow:
        is_fast = False

    monkeypatch.setattr(unlearn.models.AutoTokenizer, "from_pretrained", lambda *_: Slow())
    refused(label(command, place, tmp_path / "l"), sentence="tokenizer Slow gives no character offsets")


def test_vocabularies_that_do_not_match(command, place, tmp_path):
    other = tmp_path / "other"
    tiny.llama(123).save_pretrained(other)
    refused(label(command, place, tmp_path / "l", reinforced=other), sentence="baseline 400 tokens, reinforced 123")


def test_nan_logits_name_the_block(command, place, tmp_path):
    broken = model_with(place, tmp_path / "nan", lambda w: {**w, "lm_head.weight": w["lm_head.weight"] * float("nan")})
    refused(
        label(command, place, tmp_path / "l", reinforced=broken),
        sentence="document 'target.txt', block 0: a model returned logits that are not numbers",
    )
    assert not (tmp_path / "l").exists()


def test_block_that_grows_past_the_context(command, place, tmp_path):
    (tmp_path / "long.jsonl").write_text(
        json.dumps({"anchor": "Nora", "translations": ["a very long way of saying the name of a lady " * 20]})
    )
    refused(
        label(command, place, tmp_path / "l", anchors=tmp_path / "long.jsonl", **{"block-tokens": 500}),
        sentence="tokens by translation, more than the model's context of 512",
    )


def test_values_out_of_range(command, place, tmp_path):
    refused(label(command, place, tmp_path / "l", "alphas=[-1]"), sentence="alphas=[-1.0]: each must be >= 0")
    refused(label(command, place, tmp_path / "l", "offset=cubic"), sentence="labels.offset='cubic'")
    refused(label(command, place, tmp_path / "l", "ofset=relu"), sentence="unknown key 'labels.ofset'")
    refused(label(command, place, tmp_path / "l", dtype="int3"), sentence="dtype='int3'")
    refused(label(command, place, tmp_path / "l", **{"block-tokens": 1}), sentence="labels.block_tokens=1")


def test_recipe_mistakes(command, place, tmp_path):
    refused(command("run", tmp_path / "none.yaml"), sentence="none.yaml' cannot be read")
    (tmp_path / "list.yaml").write_text("- a\n")
    refused(command("run", tmp_path / "list.yaml"), sentence="must be a mapping")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    refused(command("run", tmp_path / "broken.yaml"), sentence="is not YAML")
    good = recipe(place, tmp_path / "r.yaml")
    refused(
        command("run", good, "finetune.lr=1"),
        sentence="unknown key 'finetune.lr'; allowed there: epochs, max_steps, learning_rate",
    )
    refused(command("run", good, "nonsense"), sentence="'nonsense' is not of the form key=value")
    refused(command("run", good, "finetune.epochs=-2"), sentence="finetune.epochs=-2")
    refused(
        command("run", good, "--callback", "nowhere:Thing"),
        sentence="callback 'nowhere:Thing' is not package.module:Class",
    )
    refused(command("run", good, "finetune.extra={nonsense: 1}"), sentence="nonsense")
    refused(
        command("finetune", "--model", place / "base", "--labels", tmp_path, "--out", tmp_path / "o"),
        sentence="is not a label dataset",
    )


def test_the_label_command_makes_the_labels_of_the_better_recipe_too(command, place, tmp_path):
    from datasets import load_from_disk

    (tmp_path / "towns.jsonl").write_text(
        json.dumps({"anchor": "Port Ansel", "translations": ["The Harvest", "A Stars"]})
    )
    given = {"anchors": tmp_path / "towns.jsonl"}
    label(command, place, tmp_path / "paper", **given)
    rules = "forbid=rename", "repeats=none", "translations=2", "inside=true"
    assert label(command, place, tmp_path / "ours", *rules, **given)[0] == 0
    rows = {name: list(load_from_disk(str(tmp_path / name))["labels"]) for name in ("paper", "ours")}
    kept = {name: sum(label >= 0 for row in found for label in row) for name, found in rows.items()}
    ids = load_from_disk(str(tmp_path / "ours"))["input_ids"]
    # every position but a block's first has a label
    assert kept["paper"] < kept["ours"] == sum(map(len, ids)) - len(ids)


def test_an_interrupted_command_says_how_it_goes_on(command, place, tmp_path, monkeypatch):
    """typer turned Ctrl-C into an exit without a word."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unlearn.recipe.Recipe.load", interrupted)
    code, out, err = command("run", recipe(place, tmp_path / "r.yaml"))
    assert (code, out) == (130, "") and err == "unlearn: interrupted; the same command goes on from here\n"


def test_dry_run_makes_nothing_and_warns_below_20_steps(command, place, tmp_path, caplog):
    code, out, err = command("run", recipe(place, tmp_path / "r.yaml"), "--dry-run", "--json")
    planned = json.loads(out)
    assert code == 0
    assert planned["finetune_steps"] < 20
    assert any("fewer than 20" in warning for warning in planned["warnings"])
    words = len((place / "target.txt").read_text(encoding="utf-8").split())
    assert any(f"holds {words:,} words" in warning for warning in planned["warnings"])
    assert {"blocks", "reinforce_steps", "training_gib", "labelling_gib", "disk_gib", "anchors"} <= set(planned)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_warns_of_more_than_20_passes_over_the_text_and_names_the_key(place, tmp_path, monkeypatch):
    from unlearn.pipeline import plan
    from unlearn.recipe import Recipe

    monkeypatch.setattr(plan, "_model", lambda name: (1, "float32"))
    few = {"batch_size": 4, "accumulation": 4}  # all blocks in a step
    path = recipe(place, tmp_path / "r.yaml", reinforce={"epochs": 3, **few}, finetune=few)

    def warned(*changes: str) -> list[str]:
        planned = plan.plan(Recipe.load(path, changes))
        assert 4 < planned.blocks <= 16
        return [one for one in planned.warnings if "passes over" in one]

    assert warned("reinforce.epochs=20", "finetune.max_steps=20") == []
    first, second = warned("reinforce.epochs=21", "finetune.max_steps=150")
    assert first.startswith("reinforce passes over its ") and " 21 times (21 steps)" in first
    assert "lower reinforce.epochs, or give more text" in first
    assert " 150 times (150 steps)" in second and "lower finetune.max_steps" in second
    assert len(warned("finetune.batch_size=1", "finetune.accumulation=1", "finetune.max_steps=40")) == 0


def test_a_dry_run_of_reinforce_says_what_it_needs_and_makes_nothing(command, place, tmp_path, caplog):
    given = ("--model", place / "base", "--corpus", place / "target.txt", "--out", tmp_path / "r", "--block-tokens", 48)
    with caplog.at_level("INFO", "unlearn"):
        code, out, _ = command("reinforce", *given, "--dry-run", "--json")
    planned = json.loads(out)
    assert code == 0 and not (tmp_path / "r").exists()
    assert set(planned) == {"documents", "blocks", "tokens", "reinforce_steps", "parameters", "training_gib"}
    assert planned["reinforce_steps"] == 3  # epochs, of one step each
    assert "time is not estimated here" in caplog.text


def test_a_dry_run_counts_the_reinforced_model_as_it_is_loaded_for_labels(place, tmp_path, monkeypatch):
    """Full training saves float32, and a bfloat16 baseline is widened beside it; an adapter stands on the stored weights."""
    from unlearn.pipeline import plan
    from unlearn.recipe import Recipe

    monkeypatch.setattr(plan, "_model", lambda name: (2**30, "bfloat16"))
    path = recipe(place, tmp_path / "r.yaml")
    adapter = ["reinforce.lora.r=8", "finetune.lora.r=8"]
    expected = {
        (): 8,
        ("dtype=bfloat16",): 4,
        ("dtype=float32",): 8,
        tuple(adapter): 4,
        ("labels.use_reinforced=false",): 2,
    }
    for changes, gib in expected.items():
        assert plan.plan(Recipe.load(path, list(changes))).labelling_gib == gib, changes


@pytest.mark.parametrize("after", [0, 1])
def test_full_disk_keeps_what_is_finished(command, place, tmp_path, monkeypatch, after):
    """The disk is full at the n-th shard: one sentence, no half-written shard, and the same command goes on later."""
    import unlearn.labels.dataset as module

    monkeypatch.setattr(module, "SHARD_BATCHES", 1)
    (tmp_path / "long.txt").write_text("\n".join(tiny.TEXT * 6))
    written = 0
    real = module.write_table

    def full(*arguments):
        nonlocal written
        if written == after:
            raise OSError(errno.ENOSPC, "No space left on device")
        written += 1
        real(*arguments)

    monkeypatch.setattr(module, "write_table", full)
    options = {"corpus": tmp_path / "long.txt"}
    refused(label(command, place, tmp_path / "labels", **options), sentence="the disk is full")
    assert not (tmp_path / "labels").exists()
    assert len(list((tmp_path / "labels.tmp" / "shards").glob("*.arrow"))) == after
    monkeypatch.setattr(module, "write_table", real)
    code, _, err = label(command, place, tmp_path / "labels", **options)
    assert code == 0, err


def test_run_directory_that_cannot_be_made(command, place, tmp_path):
    (tmp_path / "file").write_text("in the way")
    refused(label(command, place, tmp_path / "file" / "labels"), sentence="cannot be made")


@pytest.mark.parametrize("below", ["", "labels"])
def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(command, place, tmp_path, monkeypatch, below):
    """A folder on a read-only place was said to be one after everything was made, by a traceback."""

    def read_only(dir):
        raise OSError(errno.EROFS, "Read-only file system", dir)

    monkeypatch.setattr(files.tempfile, "TemporaryFile", read_only)
    (tmp_path / "there").mkdir()
    monkeypatch.setattr("unlearn.anchors.contrast.contrast.contrast_anchors", lambda *_, **__: pytest.fail("worked"))
    where = f"({tmp_path / 'there'}: Read-only file system): choose another one"
    refused(label(command, place, tmp_path / "there" / "new" / "labels"), sentence=where)
    words = ("anchors", "--corpus", place / "target.txt", "--out", tmp_path / "there" / below / "a.jsonl")
    refused(command(*words), sentence=where)


def test_trying_a_folder_leaves_nothing(tmp_path):
    files.require_writable(tmp_path / "new" / "folder")
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_that_cannot_read_the_text(command, place, tmp_path):
    tiny.save(tmp_path / "base", "metaspace_bpe")
    words = json.loads((tmp_path / "base" / "tokenizer.json").read_text())
    words["model"] |= {"unk_token": "<nope>", "byte_fallback": False}
    (tmp_path / "base" / "tokenizer.json").write_text(json.dumps(words))
    made = recipe(place, tmp_path / "recipe.yaml", model=str(tmp_path / "base"))
    refused(command("run", made), sentence="cannot read the text: Unk token `<nope>` not found in the vocabulary")


def test_v_tells_the_error_behind_a_sentence(command, tmp_path, caplog):
    for flag in ((), ("-v",)):
        refused(command(*flag, "run", tmp_path / "none.yaml"), sentence="none.yaml' cannot be read: No such file")
        assert ("FileNotFoundError" in caplog.text) is bool(flag)
