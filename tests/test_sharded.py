"""FSDP2 at the level of torch, which accelerate does not start on a CPU; and what ranks agree on before they save."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_factory import tiny_policy

CHILD = Path(__file__).with_name("rank_child.py")
pytestmark = pytest.mark.slow


def started(what: str, directory: Path, processes: int) -> Any:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    subprocess.run([sys.executable, *launcher, str(CHILD), what, str(directory)], check=True, timeout=300)
    told = directory / "told.json"
    return json.loads(told.read_text()) if told.exists() else None


@pytest.mark.parametrize("shared", [False, True], ids=["plain", "prefix"])
def test_two_ranks_that_share_the_weights_are_one_that_has_them_all(tmp_path: Path, shared: bool) -> None:
    told = {}
    for processes in (1, 2):
        where = tmp_path / str(processes)
        where.mkdir()
        tiny_policy(where / "start")
        if shared:
            (where / "shared").touch()
        told[processes] = started("sharded", where, processes)
    one, two = (load_file(tmp_path / name / "out" / "model.safetensors") for name in ("1", "2"))
    start = load_file(tmp_path / "1" / "start" / "model.safetensors")
    assert one.keys() == two.keys() == start.keys()
    apart = max(float((one[name] - two[name]).abs().max()) for name in one)
    moved = max(float((one[name] - start[name]).abs().max()) for name in one)
    assert apart <= 1e-5 < moved / 10
    assert told[2]["losses"] == pytest.approx(told[1]["losses"], rel=1e-5)
    assert told[2]["scores"] == pytest.approx(told[1]["scores"], rel=1e-4)
    stated = load_file(tmp_path / "2" / "stated" / "model.safetensors")
    assert all(torch.equal(stated[name], two[name]) for name in two)


def test_an_adapter_is_merged_from_what_the_first_rank_has(tmp_path: Path) -> None:
    tiny_policy(tmp_path / "start")
    told = started("adapted", tmp_path, 2)
    assert told["after"] == pytest.approx(told["before"], rel=1e-4)


def test_ranks_save_the_same_steps_and_delete_torn_ones_once(tmp_path: Path) -> None:
    started("clocks", tmp_path, 2)
    told = [json.loads((tmp_path / f"asked-{name}.json").read_text()) for name in (0, 1)]
    assert told[0] == told[1] == [False, True, False]
