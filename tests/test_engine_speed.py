"""What suits this machine is measured, on the model itself, and chosen by what was measured."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from random_models import save_random_model

from selfreward.commands.doctor import Finding, examine
from selfreward.engines.hugging_face import prefill
from selfreward.engines.hugging_face import speed as engine_speed
from selfreward.engines.hugging_face.speed import EngineSpeed, choose, measure_engine
from selfreward.errors import DataError


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model("qwen25", tmp_path_factory.mktemp("model"))


def speed(threads: int, dtype: str, sampled: float) -> EngineSpeed:
    return EngineSpeed(threads, dtype, 32, 10 * sampled, sampled)


def test_every_dtype_and_thread_count_is_measured_and_threads_are_put_back(directory: Path) -> None:
    before = torch.get_num_threads()
    found = measure_engine(directory, rows=4, threads=(1, 2))
    assert [(one.dtype, one.threads) for one in found] == [
        (dtype, count) for dtype in ("float32", "bfloat16") for count in (1, 2)
    ]
    assert all(one.read > 0 and one.sampled > 0 for one in found) and torch.get_num_threads() == before
    assert choose(found) in found


def test_a_slower_setting_is_seen_as_slower(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that a forward pass moves by 4 s with one thread and by 1 s with two: two are chosen."""
    now, plain = [0.0], prefill.forward

    def timed(*given: object, **named: object) -> object:
        now[0] += 4.0 if torch.get_num_threads() == 1 else 1.0
        return plain(*given, **named)

    monkeypatch.setattr(prefill, "forward", timed)
    monkeypatch.setattr(engine_speed, "time", SimpleNamespace(perf_counter=lambda: now[0], monotonic=lambda: now[0]))
    assert choose(measure_engine(directory, rows=4, threads=(1, 2))).threads == 2


def test_the_fastest_is_chosen_unless_a_plainer_one_is_as_fast() -> None:
    real = [speed(1, "float32", 90), speed(2, "float32", 150), speed(1, "bfloat16", 200), speed(2, "bfloat16", 390)]
    assert (choose(real).threads, choose(real).dtype) == (2, "bfloat16")
    toy = [speed(1, "float32", 1000), speed(2, "float32", 1050), speed(1, "bfloat16", 1060), speed(2, "bfloat16", 700)]
    assert (choose(toy).threads, choose(toy).dtype) == (1, "float32")


def test_doctor_names_the_settings_for_a_model_and_refuses_what_is_none(directory: Path, tmp_path: Path) -> None:
    def findings(model: Path) -> dict[str, Finding]:
        return {one.what: one for one in examine(tmp_path, model)}

    found = findings(directory)["engine"]
    assert found.ok and "engine.threads=" in found.found and "tokens/s read" in found.found
    assert "engine" not in findings(tmp_path)
    with pytest.raises(DataError):
        measure_engine(tmp_path)
