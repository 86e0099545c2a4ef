"""Steps of a training that are kept on disk, so that a stopped one goes on from the last of them.

Saved are every `train.save_steps`-th step, and one at the end of any step that is the first after a minute of training:
on a slow machine a step takes half a minute, and a stop must cost less than two. Saving itself (weights and moments)
takes at most a tenth of the time: where it takes long, the minute becomes ten times as long as that.

Which steps are saved changes neither the weights nor the logs. A saved step is whole when `whole.json` stands in it,
which is written last and lists every file with its size: a step that was killed while being written, or while being
deleted, is recognised and ignored.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from selfreward.training import ranks

Progress = Callable[[int, int, float], None]
"""Called after every step with step, number of steps, loss."""

MARKER = "whole.json"

SECONDS = 60.0
SHARE = 0.1
"""Of the time, at most, that is spent on saving."""


class SessionCallback(TrainerCallback):
    """Reports progress, has steps saved when it is time, and marks each as whole once all of it is on disk."""

    def __init__(self, progress: Progress | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.progress, self._clock = progress, clock
        self._saved, self._asked, self._wait = clock(), 0.0, SECONDS

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved = self._clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._asked = self._clock()
        due = self._asked - self._saved >= self._wait
        if ranks.agreed(due) and state.global_step < state.max_steps:
            control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        logs = options["logs"]
        if self.progress is not None and "loss" in logs:
            self.progress(state.global_step, state.max_steps, logs["loss"])

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        ranks.wait()  # for the files of the others
        if ranks.first():
            mark_whole(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        ranks.wait()
        self._saved = self._clock()
        self._wait = max(SECONDS, (self._saved - self._asked) / SHARE)


def mark_whole(directory: Path) -> None:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    for path in files:
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
    sizes = {path.relative_to(directory).as_posix(): path.stat().st_size for path in files}
    beside = directory / f"{MARKER}.partial"
    with beside.open("w", encoding="utf-8") as handle:
        json.dump(sizes, handle)
        handle.flush()
        os.fsync(handle.fileno())
    beside.rename(directory / MARKER)


def is_whole(directory: Path) -> bool:
    try:
        sizes = json.loads((directory / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return all(
        (directory / name).is_file() and (directory / name).stat().st_size == size for name, size in sizes.items()
    )


def last_whole_step(scratch: Path) -> Path | None:
    """The newest whole saved step, or None. Torn ones are deleted, by one rank, so that none is written over."""
    if not ranks.first():
        ranks.wait()
    found = sorted(scratch.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in [path for path in found if not is_whole(path)]:
        shutil.rmtree(path)
    if ranks.first():
        ranks.wait()
    ranks.wait()
    return next((path for path in reversed(found) if path.exists()), None)
