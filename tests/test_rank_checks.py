"""What several processes cannot do is refused before a run; what they hold is part of what determines weights."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from training_factory import random_pairs, random_samples, tiny_policy

from selfreward.commands.accelerate_checks import check_accelerate
from selfreward.commands.device_checks import check_devices
from selfreward.commands.preflight import preflight
from selfreward.errors import RecipeError
from selfreward.recipe import Recipe, identity
from selfreward.recipe.read import build_recipe
from selfreward.roles.player import engine_facts
from selfreward.training import ranks
from selfreward.training.jobs import carry_out, launcher, of_processes
from selfreward.training.launched import _command, shown_gpus, train_launched
from selfreward.training.policy_losses import Moved, PolicyLoss, SampleBatch
from selfreward.training.reward_rows import GroupCollator, groups_of
from selfreward.training.rows import PairCollator, side_by_side
from selfreward.training.sample_rows import SampleCollator

TWO = ("train.launch=accelerate", "train.processes=2")
FSDP = {"distributed_type": "FSDP", "fsdp_config": {"fsdp_version": 2}, "num_processes": 2}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("train.processes=2",), r"train\.launch=in_process trains in this one; set train\.launch=accelerate"),
        (("train.accelerate_config=a.yaml",), r"train\.processes is 1; raise it or remove the file"),
        ((*TWO, "train.batch_size=9"), r"'train\.batch_size' is 9; expected a multiple of train\.processes \(2\)"),
        ((*TWO, "train.batch_size=8", "train.micro_batch_size=8"), r"'train\.micro_batch_size' is 8; .*divisor of 4"),
        (("train.launch=accelerate", "train.processes=0"), r"train\.processes"),
    ],
)
def test_recipes_that_cannot_be_divided(keys: tuple[str, ...], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        build_recipe([], keys)


def test_a_reward_model_is_divided_too() -> None:
    taught = {"judge": {"model": "reward_model", "reading": "scalar"}, "reward_model": {"batch_size": 9}}
    build_recipe([taught])
    with pytest.raises(RecipeError, match=r"'reward_model\.batch_size' is 9; expected a multiple of train\.processes"):
        build_recipe([taught], TWO)


@pytest.mark.parametrize(
    ("keys", "gpus", "message"),
    [
        (TWO, 1, r"'train\.processes' is 2, each on a GPU of its own.*visible to this process are 1"),
        ((*TWO, "model.device=cuda:1"), 2, r"'train\.processes' is 2, .*from 'cuda:1' on.*are 2"),
        (TWO, 2, None),
        ((*TWO, "model.device=cuda:1"), 3, None),
        (TWO, 0, None),
    ],
)
def test_every_process_needs_a_gpu(keys: tuple[str, ...], gpus: int, message: str | None) -> None:
    recipe = build_recipe([], keys)
    if message is None:
        check_devices(recipe, gpus)
        return
    with pytest.raises(RecipeError, match=message):
        check_devices(recipe, gpus)


@pytest.mark.parametrize(
    ("keys", "gpus", "message"),
    [
        (("engine.replicas=3",), 2, r"'engine\.replicas' is 3, each on 1 GPUs of its own.*are 2"),
        (("engine.kind=vllm", "engine.replicas=2", "engine.tensor_parallel_size=2"), 3, r"is 2, each on 2 GPUs.*are 3"),
        (("engine.replicas=2",), 2, None),
        (("engine.replicas=2",), 0, None),
    ],
)
def test_every_replica_needs_one_too(
    keys: tuple[str, ...], gpus: int, message: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    recipe = build_recipe([], [*keys, "train.launch=accelerate"])
    if message is not None:
        with pytest.raises(RecipeError, match=message):
            check_devices(recipe, gpus)
        monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    check_devices(recipe, gpus)


def test_replicas_change_no_row_but_of_vllm() -> None:
    """And so an unfinished run may go on with others, or with none."""
    facts = {key: engine_facts(build_recipe([], [key])) for key in ("engine.replicas=1", "engine.replicas=2")}
    assert facts["engine.replicas=1"] == facts["engine.replicas=2"] == engine_facts(build_recipe([]))
    assert "replicas" not in facts["engine.replicas=1"]
    many, one = (engine_facts(build_recipe([], ["engine.kind=vllm", f"engine.replicas={n}"])) for n in (2, 1))
    assert many["replicas"] == 2 and "replicas" not in one
    assert "engine.replicas" not in identity(build_recipe([])) and "train.processes" in identity(build_recipe([]))


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_replicas_without_ray_are_refused_before_the_run() -> None:
    with pytest.raises(RecipeError, match=r"Ray is not installed; pip install 'selfreward-loop\[ray\]'"):
        preflight(build_recipe([], ["engine.replicas=2"]))
    with pytest.raises(RecipeError, match=r"engine\.replicas"):
        build_recipe([], ["engine.kind=scripted", "engine.script=a.yaml", "train.method=none", "engine.replicas=2"])


def configured(tmp_path: Path, told: object, *keys: str) -> Recipe:
    file = tmp_path / "accelerate.yaml"
    file.write_text(told if isinstance(told, str) else yaml.safe_dump(told), encoding="utf-8")
    return build_recipe([], [*TWO, f"train.accelerate_config={file}", *keys])


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({**FSDP, "num_processes": 4}, r"num_processes is 4; expected 2, as the recipe has it"),
        ({**FSDP, "num_machines": 2}, r"num_machines is 2; expected 1"),
        ({**FSDP, "mixed_precision": "bf16"}, r"mixed_precision is 'bf16'; expected 'no' or 'no'"),
        ({**FSDP, "gradient_accumulation_steps": 4}, r"gradient_accumulation_steps is 4"),
        ({"distributed_type": "FSDP", "fsdp_config": {"fsdp_version": 1}}, r"fsdp_version is 1; expected 2"),
        ({"distributed_type": "DEEPSPEED"}, r"distributed_type is 'DEEPSPEED'; expected one of MULTI_GPU, FSDP"),
        ({}, r"distributed_type is None"),
        ("[1, 2]", r"holds list"),
        ("a: [", r"cannot be read"),
    ],
)
def test_files_that_say_another_training(tmp_path: Path, told: object, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        check_accelerate(configured(tmp_path, told), 2)


def test_files_that_agree_and_files_that_are_not_there(tmp_path: Path) -> None:
    check_accelerate(configured(tmp_path, "distributed_type: MULTI_GPU\nmixed_precision: no\nuse_cpu: false\n"), 2)
    check_accelerate(configured(tmp_path, {**FSDP, "mixed_precision": "bf16"}, "model.dtype=bfloat16"), 2)
    check_accelerate(build_recipe([], TWO), 0)
    with pytest.raises(RecipeError, match=r"no GPU is visible.*remove it"):
        check_accelerate(configured(tmp_path, FSDP), 0)
    with pytest.raises(RecipeError, match=r"nowhere\.yaml cannot be read"):
        check_accelerate(build_recipe([], [*TWO, f"train.accelerate_config={tmp_path / 'nowhere.yaml'}"]), 2)


def test_processes_are_part_of_what_determines_weights_and_one_is_not(tmp_path: Path) -> None:
    """By the file's content: wherever it lies."""
    assert of_processes(build_recipe([], ["train.launch=accelerate"])) == {}
    assert of_processes(build_recipe([], TWO)) == {"processes": 2, "accelerate_config": None}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, same = of_processes(configured(tmp_path / "a", FSDP)), of_processes(configured(tmp_path / "b", FSDP))
    assert one == same != of_processes(configured(tmp_path / "a", {**FSDP, "num_machines": 1}))


def test_who_carries_a_training_out(tmp_path: Path) -> None:
    assert launcher(build_recipe([])) is carry_out
    assert launcher(build_recipe([], ["train.method=none"])) is carry_out
    assert launcher(build_recipe([], TWO)) is train_launched
    job, train = tmp_path / "job.json", configured(tmp_path, FSDP).train
    command = _command(job, train, 1, on_gpu=True)
    assert command[2] == "accelerate.commands.launch" and command[4] == str(tmp_path / "accelerate.yaml")
    assert command[command.index("--num_processes") + 1] == "2" and not (tmp_path / "job.json").exists()
    assert shown_gpus("cuda", "3,5,7", 2) == "3,5" and shown_gpus("cuda:1", None, 2) == "1,2"


def test_one_process_has_nobody_to_ask() -> None:
    assert (ranks.world(), ranks.first(), ranks.agreed(True), ranks.agreed(False)) == (1, True, True, False)
    assert ranks.total([0.1, 2]) == [0.1, 2] and ranks.largest(3.5) == 3.5
    assert ranks.columns([4, 2, 7], 2) == {"position": [4, 2, 7]} and ranks.fillers(3, 2) == 0
    assert [0, 1, 2][ranks.mine()] == [0, 1, 2]


def test_a_filler_weighs_nothing(tmp_path: Path) -> None:
    """In every kind of row; without the mark a row is as before."""
    start = tiny_policy(tmp_path)
    marked = [{"position": 1, "filler": 0}, {"position": 0, "filler": 1}]
    plain = [{"position": 1}]
    pairs = PairCollator(random_pairs(2, weight=3.0), 0, side_by_side)
    assert pairs(marked)["weight"].tolist() == [3.0, 0.0] and pairs(plain)["weight"].tolist() == [3.0]
    assert "real" not in pairs(plain) and ranks.real_positions([pairs(marked), pairs(plain)]) == [1, 1]
    groups = GroupCollator(groups_of(random_pairs(2)), 0)
    assert groups(marked)["weight"].tolist() == [1.0, 0.0] and groups(plain)["weight"].tolist() == [1.0]
    samples = random_samples(start, 2, reference=start)
    collator, loss = SampleCollator(samples, 0), PolicyLoss(kl=0.1, ratio="sequence_mean", aggregate="tokens_of_answer")
    values, seen = [], []
    for rows in (marked, plain):
        batch = collator(rows)
        mask = (batch["labels"][:, 1:] != -100).float()
        likelier = batch["old"] + 0.1 * mask
        told = SampleBatch(likelier, batch["old"], mask, batch["advantage"], batch["reference"], batch.get("real"))
        moved = Moved()
        moved.add(loss, told)
        values.append(loss(told, 1.0).item())
        seen.append(moved.summary())
    assert values[0] == pytest.approx(values[1]) and seen[0] == pytest.approx(seen[1])
