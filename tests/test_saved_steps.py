"""A stopped training goes on from a step that is at most a minute old, and saving takes a tenth of the time at most."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from selfreward.training.saved_steps import SECONDS, SHARE, SessionCallback, last_whole_step


class Training:
    """Steps and saves of given lengths, as transformers calls back; `saved` are the steps that were written."""

    def __init__(self, root: Path, steps: int) -> None:
        self.now, self.root, self.steps = 1000.0, root, steps
        self.saved: list[int] = []
        self.ends: list[float] = []
        self.callback = SessionCallback(None, lambda: self.now)
        self.args = SimpleNamespace(output_dir=str(root))

    def run(self, step_seconds: float, save_seconds: float) -> None:
        self.callback.on_train_begin(self.args, None, None)
        for step in range(1, self.steps + 1):
            self.now += step_seconds
            state, control = SimpleNamespace(global_step=step, max_steps=self.steps), SimpleNamespace(should_save=False)
            self.callback.on_step_end(self.args, state, control)
            self.ends.append(self.now)
            if control.should_save:
                self.saved.append(step)
                directory = self.root / f"checkpoint-{step}"
                directory.mkdir()
                (directory / "model.safetensors").write_bytes(b"x")
                self.now += save_seconds
                self.callback.on_save(self.args, state, control)


@pytest.mark.parametrize("step_seconds", [2.0, 25.0, 40.0, 70.0])
def test_a_kill_costs_under_two_minutes_where_a_step_takes_half_of_one(tmp_path: Path, step_seconds: float) -> None:
    training = Training(tmp_path, 60)
    training.run(step_seconds, save_seconds=3.0)
    assert training.saved and 60 not in training.saved, "the last step is the policy itself"
    gaps = [later - earlier for earlier, later in zip([0, *training.saved], training.saved, strict=False)]
    # What a kill right before the next save would cost: the steps since the last one.
    assert max(gaps) * step_seconds <= SECONDS + step_seconds
    assert last_whole_step(tmp_path) == tmp_path / f"checkpoint-{training.saved[-1]}"


def test_saving_that_takes_long_is_done_less_often(tmp_path: Path) -> None:
    training = Training(tmp_path, 100)
    training.run(30.0, save_seconds=60.0)
    assert training.saved[0] == 2
    assert len(training.saved) * 60.0 <= 1.2 * SHARE * (training.now - 1000.0)


def test_quick_trainings_are_not_saved_by_the_clock(tmp_path: Path) -> None:
    training = Training(tmp_path, 50)
    training.run(1.0, save_seconds=1.0)
    assert training.saved == []
