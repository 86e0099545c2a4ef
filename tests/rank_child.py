"""What each rank of a test does, started by torch's launcher: rank_child.py DO DIRECTORY"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from training_factory import CPU, SHORT, random_pairs

from selfreward.training import prefix, ranks, rows, saved_steps, session, sharded
from selfreward.training.head import put_head
from selfreward.training.saved_steps import SessionCallback

STEPS, RATE = 3, 0.05


def loss_of(model: Any, shared: bool, step: int) -> Tensor:
    """Of this rank's half of eight pairs."""
    pairs = random_pairs(8, seed=step)[ranks.mine()]
    if shared:
        sums = torch.cat(prefix.pair_logprobs(model, prefix.pack(pairs, 0)))
    else:
        batch = rows.side_by_side(pairs, 0)
        sums = rows.completion_logprobs(model, batch["input_ids"], batch["labels"])
    return -sums.sum() / 100 * ranks.world()


def sharded_steps(directory: Path) -> None:
    """A few steps of plain descent on weights that FSDP2 spreads; what the first rank then writes as a plain model."""
    shared = (directory / "shared").exists()
    policy, _ = session.load_start(directory / "start", CPU)
    put_head(policy)
    twin = sharded.twin(policy)
    if ranks.world() > 1:
        mesh = init_device_mesh("cpu", (ranks.world(),))
        for layer in policy.model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(policy, mesh=mesh)
    losses = []
    for step in range(STEPS):
        loss = loss_of(policy, shared, step)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(ranks.total([loss.item()])[0] / ranks.world())
        with torch.no_grad():
            for weight in policy.parameters():
                weight -= RATE * weight.grad
                weight.grad = None
    state = get_model_state_dict(policy, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    plain = sharded.filled(twin, state)
    asked = [(pair.prompt_token_ids, pair.chosen_token_ids) for pair in random_pairs(5, seed=9)]
    scores = rows.score(plain, asked, 0)
    if ranks.first():
        plain.save_pretrained(directory / "out")
        plain.save_pretrained(directory / "stated", state_dict=state)
        (directory / "told.json").write_text(json.dumps({"losses": losses, "scores": scores}))


def adapted(directory: Path) -> None:
    """The same of a model with an adapter: what is merged afterwards."""
    from peft import get_peft_model

    from selfreward.recipe import LoraRecipe
    from selfreward.training.adapters import adapter_settings, merged

    policy, _ = session.load_start(directory / "start", CPU)
    put_head(policy)
    torch.manual_seed(3)
    model = get_peft_model(policy, adapter_settings(LoraRecipe(rank=2, alpha=4)))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    twin = sharded.twin(model)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()} if ranks.first() else {}
    asked = [(pair.prompt_token_ids, pair.chosen_token_ids) for pair in random_pairs(5, seed=9)]
    before = rows.score(model, asked, 0)
    after = rows.score(merged(sharded.filled(twin, state)), asked, 0)
    if ranks.first():
        (directory / "told.json").write_text(json.dumps({"before": before, "after": after}))


def clocks(directory: Path) -> None:
    """Two ranks whose clocks differ by two minutes save the same steps."""

    def ticks(seconds: float) -> Any:
        return lambda: now[0] + seconds

    now = [0.0]
    callback = SessionCallback(None, ticks(0.0))
    args, asked = SHORT, []
    state, control = type("State", (), {"global_step": 1, "max_steps": 9})(), type("Control", (), {})()
    callback.on_train_begin(args, state, control)
    for second in (30.0, 61.0 if ranks.first() else 59.0, 59.0 if ranks.first() else 61.0):
        now[0], control.should_save = second, False
        callback.on_step_end(args, state, control)
        asked.append(control.should_save)
    (directory / f"asked-{int(ranks.first())}.json").write_text(json.dumps(asked))
    torn = directory / "checkpoint-3"
    if ranks.first():
        torn.mkdir()
    ranks.wait()
    assert saved_steps.last_whole_step(directory) is None and not torn.exists()


if __name__ == "__main__":
    torch.set_num_threads(1)
    ranks.join(on_gpu=False)
    {"sharded": sharded_steps, "adapted": adapted, "clocks": clocks}[sys.argv[1]](Path(sys.argv[2]))
    if distributed.is_initialized():
        ranks.leave()
