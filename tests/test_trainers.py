"""Training by its consequences: what changes, what cannot, what a kill leaves, and what is refused."""

import dataclasses
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from training_factory import (
    CPU,
    END_TOKEN,
    SHORT,
    plain_logprob,
    random_pairs,
    tiny_policy,
    with_reference,
)
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfreward.engines.tensors import weights_digest
from selfreward.errors import HandOffError, StoreError, TrainingError
from selfreward.recipe import LoraRecipe, MarginLoss, ModelRecipe, TrainRecipe
from selfreward.records import Pair
from selfreward.training import saved_steps
from selfreward.training.output import TrainingReport
from selfreward.training.preference import train_preferences
from selfreward.training.rows import too_long, training_order
from selfreward.training.supervised import train_supervised

ADAPTER = dataclasses.replace(SHORT, lora=LoraRecipe(rank=2, alpha=4))
SHARED = dataclasses.replace(SHORT, prefix_sharing="always")
PLAIN = dataclasses.replace(SHORT, nll=0.0)
FACTORY = Path(__file__).with_name("training_factory.py")


class StoppedHereError(Exception):
    """Stands for a process that ends between two steps."""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def pairs(start: Path) -> list[Pair]:
    return with_reference(random_pairs(40), start)


def train(start: Path, pairs: list[Pair], where: Path, recipe: TrainRecipe = SHORT, **options) -> TrainingReport:
    known = {"model": CPU, "seed": 7, "reference_is_start": True, "out": where / "out", "scratch": where / "scratch"}
    return train_preferences(start, pairs, recipe, **(known | options))


def weights(directory: Path) -> bytes:
    return (directory / "model.safetensors").read_bytes()


def model_of(directory: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


def test_preferences_are_learned_and_the_report_says_by_how_much(start, pairs, tmp_path, capfd):
    steps = []
    report = train(start, pairs, tmp_path, PLAIN, progress=lambda *step: steps.append(step))
    assert report.metrics["first_loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert report.metrics["last_loss"] < report.metrics["first_loss"] - 0.05
    assert report.metrics["accuracy"] > 0.8
    assert report.metrics["margin"] > 0.1
    assert [step[:2] for step in steps] == [(number, 10) for number in range(1, 11)]
    assert (report.steps, report.pairs) == (10, 40)
    model = model_of(tmp_path / "out")
    after = [plain_logprob(model, pair.prompt_token_ids, pair.chosen_token_ids) for pair in pairs]
    moved = sum(new - pair.reference_chosen for new, pair in zip(after, pairs, strict=True)) / len(pairs)
    assert report.metrics["chosen_logprob_shift"] == pytest.approx(moved, abs=1e-3)
    assert report.metrics["rejected_logprob_shift"] < report.metrics["chosen_logprob_shift"]
    assert report.digest == weights_digest(tmp_path / "out") != weights_digest(start)
    printed = capfd.readouterr()
    assert "{'loss'" not in printed.out and "it/s" not in printed.err


def test_a_checkpoint_is_a_directory_like_the_one_it_came_from(start, pairs, tmp_path):
    train(start, pairs, tmp_path)
    out = tmp_path / "out"
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (out / name).read_bytes() == (start / name).read_bytes()
    assert {path.name for path in out.iterdir()} == {path.name for path in start.iterdir()} | {"handoff.json"}
    before, after = (json.loads((directory / "config.json").read_text()) for directory in (start, out))
    assert before == after
    assert AutoTokenizer.from_pretrained(out).eos_token_id == END_TOKEN
    assert list(load_file(out / "model.safetensors")) == list(load_file(start / "model.safetensors"))


def test_equal_trainings_are_equal_byte_by_byte_and_another_seed_is_not(start, pairs, tmp_path):
    first, second = (train(start, pairs, tmp_path / name) for name in ("first", "second"))
    assert weights(first.directory) == weights(second.directory)
    assert (first.digest, first.metrics) == (second.digest, second.metrics)
    assert train(start, pairs, tmp_path / "third", seed=8).digest != first.digest


def test_micro_batches_only_split_the_sum(start, pairs, tmp_path):
    """38 pairs in batches of 8: the last batch is short, and 8 does not divide it either."""
    whole, split = (
        train(start, pairs[:38], tmp_path / str(size), dataclasses.replace(SHORT, micro_batch_size=size))
        for size in (8, 4)
    )
    for name, value in whole.metrics.items():
        assert split.metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-3), name


def test_a_turned_label_is_a_swapped_pair_and_weight_0_is_no_pair(start, pairs, tmp_path):
    turned = train(start, [dataclasses.replace(p, label=0.0) for p in pairs], tmp_path / "turned", PLAIN)
    swapped = train(start, [dataclasses.replace(p.swap(), label=1.0) for p in pairs], tmp_path / "swapped", PLAIN)
    assert turned.metrics["margin"] == pytest.approx(-swapped.metrics["margin"], abs=1e-3)
    assert turned.metrics["margin"] < -0.1
    assert turned.metrics["accuracy"] == swapped.metrics["accuracy"] > 0.8
    unweighted = train(start, [dataclasses.replace(p, weight=0.0) for p in pairs], tmp_path / "unweighted")
    assert unweighted.digest == weights_digest(start)


def test_likelihood_term_raises_the_chosen_answers(start, pairs, tmp_path):
    without = train(start, pairs, tmp_path / "without", PLAIN)
    with_term = train(start, pairs, tmp_path / "with", dataclasses.replace(SHORT, nll=2.0))
    assert with_term.metrics["chosen_logprob_shift"] > without.metrics["chosen_logprob_shift"] + 0.5


def test_a_reference_that_is_not_the_start_policy_is_caught(start, pairs, tmp_path):
    other = with_reference(random_pairs(40), tiny_policy(tmp_path / "other", seed=1))
    with pytest.raises(HandOffError, match="not the policy that training starts from") as caught:
        train(start, other, tmp_path)
    margins = [
        0.3 * abs(o.reference_chosen - p.reference_chosen - o.reference_rejected + p.reference_rejected)
        for o, p in zip(other, pairs, strict=True)
    ]
    assert f"{pairs[margins.index(max(margins))].id} " in str(caught.value)
    nearly = [dataclasses.replace(pair, reference_chosen=pair.reference_chosen + 0.02) for pair in pairs]
    with pytest.raises(HandOffError):
        train(start, nearly, tmp_path)
    assert train(start, other, tmp_path, reference_is_start=False).metrics["first_loss"] != pytest.approx(math.log(2))


@pytest.mark.parametrize("beta", [0.001, 4.0])
def test_what_a_wrong_reference_is_does_not_depend_on_beta(start, pairs, tmp_path, beta):
    """A loss by the token has a beta of 2 to 10, SPPO .001: neither makes a wrong reference of noise, nor hides one."""
    recipe = dataclasses.replace(SHORT, beta=beta, loss=MarginLoss(kind="dpo_length_normalised"))
    noisy = [dataclasses.replace(pair, reference_chosen=pair.reference_chosen + 0.001) for pair in pairs]
    train(start, noisy, tmp_path / "out", recipe)
    wrong = [dataclasses.replace(pair, reference_chosen=pair.reference_chosen + 0.02) for pair in pairs]
    with pytest.raises(HandOffError, match=r"a margin of 0\.0(2|19)\d* nats .*; expected at most 0\.01"):
        train(start, wrong, tmp_path / "other", recipe)


def test_pairs_that_cannot_be_trained_on_are_named(start, pairs, tmp_path):
    def refused(changed: Pair, recipe: TrainRecipe = SHORT) -> str:
        with pytest.raises(TrainingError) as caught:
            train(start, [pairs[0], changed], tmp_path, recipe)
        return str(caught.value)

    cut = dataclasses.replace(pairs[1], rejected_token_ids=pairs[1].rejected_token_ids[:-1])
    assert "pair pair-1: the rejected completion ends with token" in refused(cut)
    assert "pair-1" in refused(dataclasses.replace(pairs[1], chosen_token_ids=()))
    assert "no reference" in refused(dataclasses.replace(pairs[1], reference_chosen=None))
    long = dataclasses.replace(pairs[1], prompt_token_ids=(30,) * 100)
    assert too_long([pairs[0], long], 64) == ["pair-1"]
    assert too_long([pairs[0], long], 256) == []
    assert "pair-1" in refused(long, dataclasses.replace(SHORT, max_length=64))
    with pytest.raises(TrainingError, match="no pair is left"):
        train(start, [], tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_not_finite_stops_with_step_and_pairs(start, pairs, tmp_path):
    with pytest.raises(TrainingError, match=r"step \d+: the loss is nan.*pair-") as caught:
        train(start, pairs, tmp_path, dataclasses.replace(SHORT, learning_rate=1e25, warmup_steps=0))
    assert "step 1:" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_is_never_overwritten(start, pairs, tmp_path):
    train(start, pairs, tmp_path)
    before = weights(tmp_path / "out")
    with pytest.raises(StoreError, match="never overwritten"):
        train(start, pairs, tmp_path, seed=8, scratch=tmp_path / "other")
    assert weights(tmp_path / "out") == before


@pytest.mark.parametrize("recipe", [SHORT, ADAPTER, SHARED], ids=["full", "adapter", "shared"])
def test_interrupted_trainings_end_where_an_uninterrupted_one_does(start, pairs, tmp_path, recipe):
    whole = train(start, pairs, tmp_path / "whole", recipe)
    seen: list[int] = []

    def stop_at(limit: int):
        def progress(step: int, *_: object) -> None:
            seen.append(step)
            if step == limit:
                raise StoppedHereError

        return progress

    for limit in (3, 5, 10):
        with pytest.raises(StoppedHereError):
            train(start, pairs, tmp_path / "cut", recipe, progress=stop_at(limit))
    resumed = train(start, pairs, tmp_path / "cut", recipe, progress=stop_at(99))
    assert seen == [1, 2, 3, 3, 4, 5, 5, 6, 7, 8, 9, 10, 9, 10]
    assert weights(resumed.directory) == weights(whole.directory)
    assert (resumed.steps, resumed.metrics) == (whole.steps, whole.metrics)
    assert (resumed.directory / "handoff.json").read_bytes() == (whole.directory / "handoff.json").read_bytes()


@pytest.fixture(scope="module")
def whole_and_cut(start, pairs, tmp_path_factory) -> Path:
    """A training that came to its end, and one that was stopped at its seventh step."""
    where = tmp_path_factory.mktemp("torn")
    train(start, pairs, where / "whole")

    def stop(step: int, *_: object) -> None:
        if step == 7:
            raise StoppedHereError

    with pytest.raises(StoppedHereError):
        train(start, pairs, where / "cut", progress=stop)
    return where


@pytest.mark.parametrize("damage", ["no marker", "truncated", "missing file", "empty marker"])
def test_a_torn_step_is_ignored(start, pairs, whole_and_cut, tmp_path, damage):
    scratch = tmp_path / "cut" / "scratch"
    shutil.copytree(whole_and_cut / "cut", tmp_path / "cut")
    newest = scratch / "checkpoint-6"
    assert saved_steps.last_whole_step(scratch) == newest
    match damage:
        case "no marker":
            (newest / saved_steps.MARKER).unlink()
        case "truncated":
            os.truncate(newest / "optimizer.pt", 1000)
        case "missing file":
            (newest / "scheduler.pt").unlink()
        case "empty marker":
            (newest / saved_steps.MARKER).write_text("")
    seen: list[int] = []
    resumed = train(start, pairs, tmp_path / "cut", progress=lambda step, *_: seen.append(step))
    assert seen[0] == 5
    assert weights(resumed.directory) == weights(whole_and_cut / "whole" / "out")


def test_scratch_files_load_without_pickle(start, pairs, tmp_path):
    train(start, pairs, tmp_path)
    steps = sorted((tmp_path / "scratch").iterdir())
    assert [path.name for path in steps] == ["checkpoint-10", "checkpoint-8"]
    with torch.serialization.safe_globals(_numpy_state()):
        for path in (tmp_path / "scratch").rglob("*.pt*"):
            torch.load(path, weights_only=True)
    assert not list((tmp_path / "scratch").rglob("*.bin"))


def _numpy_state() -> list[object]:
    """What numpy's random state is made of; transformers allows the same when it loads it."""
    import numpy as np

    return [np._core.multiarray._reconstruct, np.ndarray, np.dtype, type(np.dtype(np.uint32))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "adapter"])
def test_killed_processes_end_where_an_uninterrupted_one_does(start, pairs, tmp_path, kind):
    source = random.Random(0)
    whole = train(start, pairs, tmp_path / "whole", ADAPTER if kind == "adapter" else SHORT)
    cut = tmp_path / "cut"
    shutil.copytree(start, cut / "start")
    kills = 0
    command = [sys.executable, str(FACTORY), str(cut), kind]
    while True:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for lines, _ in enumerate(child.stdout, start=1):
            if kills < 5 and lines >= source.randint(1, 4):
                time.sleep(source.uniform(0, 0.03))
                child.send_signal(signal.SIGKILL)
                kills += 1
                break
        child.stdout.close()
        if child.wait() == 0:
            break
        assert child.returncode == -signal.SIGKILL
        shutil.rmtree(cut / "out", ignore_errors=True)
    assert kills >= 3
    assert weights(cut / "out") == weights(whole.directory)
    assert (cut / "report.txt").read_text() == repr((whole.digest, whole.steps, whole.metrics))


@pytest.mark.parametrize("limit", [100_000, 1_000_000], ids=["weights", "optimizer"])
def test_a_disk_that_takes_no_more_is_a_store_error(start, pairs, tmp_path, limit):
    """A limit on file size stands for a full disk: writes fail, nothing else does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        with pytest.raises(StoreError, match="cannot be written"):
            train(start, pairs, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert not (tmp_path / "out").exists()
    assert train(start, pairs, tmp_path).digest == train(start, pairs, tmp_path / "whole").digest


def test_adapters_are_merged_and_accumulate_over_two_rounds(start, pairs, tmp_path):
    begin = start
    for number in (1, 2):
        known = with_reference(random_pairs(40, seed=number), begin)
        report = train(begin, known, tmp_path / str(number), ADAPTER)
        step = max((tmp_path / str(number) / "scratch").iterdir(), key=lambda path: int(path.name.split("-")[1]))
        adapter = load_file(step / "adapter_model.safetensors")
        before, after = (load_file(directory / "model.safetensors") for directory in (begin, report.directory))
        prefix, targets = "base_model.model.", set()
        for name in adapter:
            if "lora_A" in name:
                target = name.removeprefix(prefix).replace("lora_A.weight", "weight")
                update = 2.0 * adapter[name.replace("lora_A", "lora_B")] @ adapter[name]
                assert torch.linalg.matrix_rank(update) <= 2
                assert (after[target] - before[target]).abs().max() > 1e-4
                torch.testing.assert_close(after[target], before[target] + update, rtol=0, atol=1e-6)
                targets.add(target)
        assert len(targets) == 7 * 4
        assert all(torch.equal(before[name], after[name]) for name in before.keys() - targets)
        begin = report.directory


def test_half_precision_policies_stay_in_half_precision(start, pairs, tmp_path):
    model = ModelRecipe(device="cpu", dtype="bfloat16")
    report = train(start, pairs, tmp_path, PLAIN, model=model, reference_is_start=False)
    tensors = load_file(report.directory / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert json.loads((report.directory / "config.json").read_text())["dtype"] == "bfloat16"
    assert report.metrics["accuracy"] > 0.7


def test_dropout_of_the_start_policy_is_off_and_its_configuration_kept(start, pairs, tmp_path):
    noisy = tmp_path / "noisy"
    shutil.copytree(start, noisy)
    settings = json.loads((noisy / "config.json").read_text()) | {"attention_dropout": 0.5}
    (noisy / "config.json").write_text(json.dumps(settings))
    assert train(noisy, pairs, tmp_path / "a").digest == train(start, pairs, tmp_path / "b").digest
    assert json.loads((tmp_path / "a" / "out" / "config.json").read_text())["attention_dropout"] == 0.5


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=40),
    st.integers(1, 3),
    st.integers(1, 16),
    st.integers(0, 2**31 - 1),
)
def test_training_order_is_whole_epochs_in_batches_sorted_by_length(lengths, epochs, batch_size, seed):
    order = training_order(lengths, epochs, batch_size, seed)
    assert order == training_order(lengths, epochs, batch_size, seed)
    assert sorted(order) == sorted(list(range(len(lengths))) * epochs)
    for begin in range(0, len(order), batch_size):
        batch = [lengths[position] for position in order[begin : begin + batch_size]]
        assert batch == sorted(batch, reverse=True)
    assert len(training_order(lengths, 0.5, batch_size, seed)) == max(1, round(len(lengths) / 2))


def demonstrations(count: int, seed: int = 5) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(pair.prompt_token_ids, pair.chosen_token_ids) for pair in random_pairs(count, seed)]


def demonstrate(start: Path, examples, where: Path, recipe: TrainRecipe = SHORT, **options) -> TrainingReport:
    known = {"model": CPU, "seed": 7, "out": where / "out", "scratch": where / "scratch"}
    return train_supervised(start, examples, recipe, **(known | options))


def test_supervised_loss_is_the_mean_over_completion_tokens_only(start, tmp_path):
    examples = demonstrations(8)
    report = demonstrate(start, examples, tmp_path, dataclasses.replace(SHORT, micro_batch_size=4), steps=1)
    model = model_of(start)
    total = sum(plain_logprob(model, *example) for example in examples)
    tokens = sum(len(completion) for _, completion in examples)
    assert report.metrics["first_loss"] == pytest.approx(-total / tokens, abs=1e-4)
    assert report.steps == 1


def test_supervised_training_takes_the_steps_asked_for_and_learns(start, tmp_path):
    examples = demonstrations(20)
    report = demonstrate(start, examples, tmp_path, steps=9)
    assert report.steps == 9
    assert report.metrics["last_loss"] < report.metrics["first_loss"] - 0.1
    assert report.metrics["chosen_logprob_shift"] > 1
    assert json.loads((report.directory / "handoff.json").read_text())["new_digest"] == report.digest


def test_interrupted_supervised_training_ends_where_an_uninterrupted_one_does(start, tmp_path):
    examples = demonstrations(20)
    whole = demonstrate(start, examples, tmp_path / "whole", ADAPTER)

    def stop(step: int, *_: object) -> None:
        if step == 3:
            raise StoppedHereError

    with pytest.raises(StoppedHereError):
        demonstrate(start, examples, tmp_path / "cut", ADAPTER, progress=stop)
    resumed = demonstrate(start, examples, tmp_path / "cut", ADAPTER)
    assert weights(resumed.directory) == weights(whole.directory)
    assert resumed.metrics == whole.metrics


def test_demonstrations_that_cannot_be_trained_on_are_named(start, tmp_path):
    examples = demonstrations(3)
    with pytest.raises(TrainingError, match="no demonstration"):
        demonstrate(start, [], tmp_path)
    with pytest.raises(TrainingError, match=r"demonstration 2.*end-of-turn"):
        demonstrate(start, [*examples[:2], (examples[2][0], examples[2][1][:-1])], tmp_path)
    with pytest.raises(TrainingError, match=r"demonstration 0.*max_length is 8"):
        demonstrate(start, [((30,) * 20, (END_TOKEN,))], tmp_path, dataclasses.replace(SHORT, max_length=8))


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's heap is asked to shrink")
def test_what_a_training_freed_goes_back_to_the_machine():
    """In a process of its own: 400 MB of tensors are freed below a block that lives, which glibc keeps for itself."""
    program = """
import json, torch
from selfreward.training.jobs import release

def held():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * 4096 / 1e6

del_me = torch.ones(2_000_000); del del_me  # from now on blocks of 8 MB come from the heap
many = [torch.ones(50_000) for _ in range(2_000)]
last = torch.ones(50_000)
del many
kept = held()
release()
print(json.dumps([kept, held(), float(last.sum())]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    kept, after, live = json.loads(done.stdout)
    if kept - after < 10 and kept < 400:
        pytest.skip("this allocator gives memory back by itself")
    assert after < kept - 300
    assert live == 50_000
