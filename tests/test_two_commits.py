"""benchmarks/two_commits.py: both sides are measured alike, and a hand-off is proven by what the weights say."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from selfreward.commands.preflight_models import SANDBOX_SEEDS

Benchmark = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Benchmark]:
    path = Path(__file__).parent.parent / "benchmarks"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path))
        yield importlib.import_module


def test_rates_and_a_hand_off_of_this_checkout(benchmark: Benchmark, tmp_path: Path) -> None:
    commits, package = benchmark("two_commits"), benchmark("baselines.either_package").Package()
    model = SANDBOX_SEEDS / "seed-0"
    given = commits.options_of([str(tmp_path), f"--model={model}", f"--scratch={tmp_path}", "--threads=1"])
    found = commits.rates(package, given, commits.Size(rows=3, prompt=40, head=20, reply=8))
    assert len(found) == 5 and all(value > 0 for value in found.values())
    commits.prepare(model, 1, tmp_path)
    assert commits.hand_off(package, given)["hand-off, s"] > 0
    assert not list(tmp_path.glob("fresh-*"))


def test_a_rate_and_a_time_are_both_told_as_times_as_fast(benchmark: Benchmark) -> None:
    before = {"decode, tokens/s": [10.0, 20.0, 10.0], "hand-off, s": [6.0, 6.0, 9.0]}
    now = {"decode, tokens/s": [20.0, 30.0, 30.0], "hand-off, s": [3.0, 2.0, 2.0]}
    lines = benchmark("two_commits").table({"before": before, "now": now}).splitlines()
    assert lines[2].endswith("| 10.0 [10.0, 20.0] | 30.0 [20.0, 30.0] | 2.00 [1.50, 3.00] |")
    assert lines[3].endswith("| 6.0 [6.0, 9.0] | 2.0 [2.0, 3.0] | 3.00 [2.00, 4.50] |")
