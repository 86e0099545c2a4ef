"""benchmarks/gpu.py: each part gives its figures on a CPU or says why it cannot, and one that fails stops no other."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from selfreward.engines.vllm.settings import vllm_version


@pytest.fixture(scope="module")
def gpu() -> Iterator[ModuleType]:
    path = Path(__file__).parent.parent / "benchmarks"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path))
        yield importlib.import_module("gpu")


def measured(gpu: ModuleType, part: str, scratch: Path, *given: str) -> dict[str, Any]:
    told = gpu.options_of(["--shape=tiny", "--device=cpu", "--dtype=float32", "--small", *given])
    return gpu.measure(part, told, scratch)


def figures(result: dict[str, Any]) -> dict[str, float]:
    assert result["device"] == "cpu"
    return {one["what"]: one["value"] for one in result["figures"]}


def test_sampling(gpu: ModuleType, tmp_path: Path) -> None:
    found = figures(measured(gpu, "sampling", tmp_path))
    assert found["decode, 4 replies at once"] > 0 and found["score"] > 0 and found["load"] > 0


def test_training_measures_every_lever(gpu: ModuleType, tmp_path: Path) -> None:
    found = figures(measured(gpu, "training", tmp_path))
    for way in ("plain", "shared prefixes", "gradient checkpointing", "adapter"):
        assert found[f"DPO, {way}"] > 0
    # The same pairs, so fewer tokens where prefixes are shared.
    tokens = {way: found[f"DPO, {way}"] / found[f"DPO, {way}: pairs"] for way in ("plain", "shared prefixes")}
    assert tokens["shared prefixes"] < 0.9 * tokens["plain"]


def test_the_hand_off_is_proven_and_other_weights_are_refused(gpu: ModuleType, tmp_path: Path) -> None:
    found = figures(measured(gpu, "hand-off", tmp_path))
    assert found["other weights are refused (1: yes)"] == 1
    assert found["engine from the new policy"] < 1e-3 < found["movement of the probes"]


def test_what_only_a_gpu_can_do_says_why(gpu: ModuleType, tmp_path: Path) -> None:
    assert measured(gpu, "flex", tmp_path) == {"unable": "a CPU has no backward of FlexAttention"}
    reason = "vLLM is not installed" if vllm_version() is None else "a CPU has no sleep"
    assert measured(gpu, "vllm", tmp_path)["unable"].startswith(reason)


def test_a_model_that_is_none_fails_with_its_reason(gpu: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    found = measured(gpu, "sampling", tmp_path / "scratch", f"--model={tmp_path / 'model'}")
    assert found["failed"].startswith("DataError") and "config.json" in found["failed"]


@pytest.mark.slow
def test_one_command_writes_a_table_and_json_and_goes_on_past_a_part_that_cannot(
    gpu: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gpu.json"
    small = ["--shape=tiny", "--device=cpu", "--dtype=float32", "--small"]
    gpu.main([*small, f"--out={out}", "--only", "flex", "sampling", "round"])
    told = json.loads(out.read_text())
    assert told["model"] == "tiny" and list(told["parts"]) == ["flex", "sampling", "round"]
    assert "unable" in told["parts"]["flex"] and told["parts"]["sampling"]["device"] == "cpu"
    rounds = {one["what"] for one in told["parts"]["round"]["figures"]}
    assert "smoke, round 1: checkpoint" in rounds
    shown = capfd.readouterr().out
    assert shown.startswith("cpu\n") and "| flex | unable: a CPU has no backward" in shown


def test_a_part_that_hangs_or_dies_is_told(gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "part.py"
    monkeypatch.setattr(gpu, "__file__", str(script))
    script.write_text("import time\ntime.sleep(60)\n")
    assert gpu.in_child("flex", [], 0.3) == {"failed": "not done after 0 s", "seconds": 0.3}
    script.write_text("import os\nos._exit(7)\n")
    assert "ended with code 7" in gpu.in_child("flex", [], 30)["failed"]


def test_the_parts_fit_into_the_minutes_that_are_promised(gpu: ModuleType) -> None:
    from gpu_parts import PARTS

    assert sum(seconds for _, seconds in PARTS.values()) <= 60 * gpu.MINUTES == 720


def test_the_share_is_of_a_rate_and_never_of_seconds(gpu: ModuleType) -> None:
    rows = [
        {"what": "decode", "value": 30.0, "unit": "tokens/s", "floor": 120.0},
        {"what": "apart", "value": 0.1, "unit": "nats", "floor": 1.0},
    ]
    shown = gpu.table({"sampling": {"figures": rows}})
    assert "| 30 tokens/s | 120 tokens/s | 25% |" in shown and "| 0.1 nats | 1 nats |  |" in shown
