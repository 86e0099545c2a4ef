"""Work of a command that keeps no run: rows are computed at once, and shown in rows and tokens as a run shows them."""

from functools import partial
from typing import Any

from selfreward.progress import Progress
from selfreward.records import Rows, stable_id
from selfreward.roles.cast import Cast
from selfreward.store.run import Row, Work


def complete_unkept(work: Work[Any, Row], cast: Cast, progress: Progress, name: str = "") -> Rows[Row]:
    """The work's rows, chunk by chunk; `name` stands before the artifact's where the stage is shown."""
    shown = f"{name}: {work.artifact}" if name else work.artifact
    rows: list[Row] = []
    begin = 0
    with progress.stage(shown, sum(map(len, work.chunks))) as stage:
        try:
            for index, chunk in enumerate(work.chunks):
                end = begin + len(chunk)
                cast.listener = partial(stage.within, begin, end)
                rows += work.compute(chunk, index)
                stage.count(0, end)
                begin = end
        finally:
            cast.listener = None
    return Rows(rows, stable_id(work.artifact, len(rows)))
