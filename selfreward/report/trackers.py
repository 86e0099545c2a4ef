"""A run told to an experiment tracker, if that is asked for with `--track`; nothing is sent otherwise.

    jsonl     <run>/tracked.jsonl, one object a line: no package, no network
    trackio   the package's own local store (TRACKIO_DIR); it sends nothing either
    wandb     as its environment says: WANDB_MODE=offline keeps it in the run's directory, WANDB_PROJECT is read, too

Told are the recipe, every sealed round's measurements (`report/true_accuracy`, with `.../low` and `.../high`; a cohort
is `report/true_accuracy/sort`), the figures of its training, and the loss of every logged step; at the run's end its
report, one offline page, becomes an artifact of trackio or wandb, and a line of jsonl names it. What these packages
gather by themselves (git, code, machine) is switched off where they can be told. Which tracker was told which rounds
stands in <run>/tracked.json, so that going on with a run tells no round twice; a process that dies between the two
tells one again.
"""

import hashlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from selfreward.errors import RecipeError
from selfreward.recipe import Recipe, as_dict
from selfreward.records import Measurement, stable_id
from selfreward.store.files import on_disk, write_durably
from selfreward.store.view import RunView

TRACKERS: dict[str, str] = {
    "jsonl": "selfreward.report.trackers:jsonl",
    "trackio": "selfreward.report.trackers:trackio",
    "wandb": "selfreward.report.trackers:wandb",
}
"""Name -> "module:attribute" of a function (run directory, recipe) -> Tracker."""
PACKAGES = ("trackio", "wandb")
PROJECT = "selfreward"
TOLD = "tracked.json"
REPORT = "report.html"


class Tracker(Protocol):
    def log(self, values: Mapping[str, float]) -> None: ...

    def keep(self, page: Path) -> None: ...

    def close(self) -> None: ...


def require_tracker(name: str | None) -> None:
    """Raise RecipeError for a tracker that does not exist or whose package is missing, before anything is started."""
    if name is None:
        return
    if name not in TRACKERS:
        raise RecipeError(f"--track: {name!r} is unknown; expected one of {', '.join(TRACKERS)}")
    if name in PACKAGES and importlib.util.find_spec(name) is None:
        raise RecipeError(
            f"--track {name}: the package {name!r} is not installed; pip install 'selfreward-loop[trackers]', or "
            f"pip install {name}; --track jsonl needs nothing"
        )


@dataclass
class Tracking:
    """What the loop tells. Without a tracker it is silent."""

    name: str = ""
    directory: Path = Path()
    tracker: Tracker | None = None
    told: list[int] = field(default_factory=list)

    def step(self, number: int, step: int, loss: float) -> None:
        """Training of round `number` is at this step. A training that is read from disk has no steps to tell."""
        if self.tracker is not None:
            self.tracker.log({"round": number, "train/step": step, "train/loss": loss})

    def round(self, number: int, rows: Iterable[Measurement], training: Mapping[str, float]) -> None:
        """A round is sealed."""
        if self.tracker is None or number in self.told:
            return
        values: dict[str, float] = {f"train/{name}": value for name, value in training.items()}
        for row in rows:
            key = "/".join([row.pool or "run", row.metric, *([] if row.cohort == "all" else [row.cohort])])
            ends = {key: row.value, f"{key}/low": row.low, f"{key}/high": row.high}
            values |= {name: value for name, value in ends.items() if value is not None}
        self.tracker.log({"round": number, **values})
        self.told.append(number)
        state = {**_told(self.directory), self.name: self.told}
        with on_disk(self.directory / TOLD):
            write_durably(self.directory / TOLD, json.dumps(state).encode() + b"\n")

    def report(self, view: RunView) -> None:
        """The run is at its end: its report is written, as `selfreward report` writes it, and kept by the tracker."""
        if self.tracker is None:
            return
        from selfreward.report.html import write_report

        page = view.path / REPORT
        write_report([view], page)
        self.tracker.keep(page)


@contextmanager
def tracking(name: str | None, directory: Path, recipe: Recipe) -> Iterator[Tracking]:
    """The tracker `name`, closed at the end whatever happens; None tells nobody."""
    if name is None:
        yield Tracking()
        return
    require_tracker(name)
    module, attribute = TRACKERS[name].split(":")
    begin: Callable[[Path, Recipe], Tracker] = getattr(importlib.import_module(module), attribute)
    tracker = begin(directory, recipe)
    try:
        yield Tracking(name, directory, tracker, _told(directory).get(name, []))
    finally:
        tracker.close()


def _told(directory: Path) -> dict[str, list[int]]:
    path = directory / TOLD
    if not path.is_file():
        return {}
    found: dict[str, list[int]] = json.loads(path.read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class _Adapter:
    """Three functions of a package."""

    send: Callable[[dict[str, float]], object]
    artifact: Callable[[Path], object]
    end: Callable[[], object]

    def log(self, values: Mapping[str, float]) -> None:
        self.send(dict(values))

    def keep(self, page: Path) -> None:
        self.artifact(page)

    def close(self) -> None:
        self.end()


def jsonl(directory: Path, recipe: Recipe) -> Tracker:
    """The recipe on a line of its own at the start of every process, then one line for each thing told."""
    path = directory / "tracked.jsonl"

    def write(values: Mapping[str, Any]) -> None:
        with on_disk(path), path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(values, allow_nan=False) + "\n")

    write({"recipe": as_dict(recipe)})

    def named(page: Path) -> None:
        write({"report": page.name, "sha256": hashlib.sha256(page.read_bytes()).hexdigest()})

    return _Adapter(write, named, lambda: None)


def trackio(directory: Path, recipe: Recipe) -> Tracker:
    package = importlib.import_module("trackio")
    # It prints where its dashboard is; our stdout is for results.
    with redirect_stdout(sys.stderr):
        package.init(
            project=PROJECT,
            name=directory.name,
            config=as_dict(recipe),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def keep(page: Path) -> None:
        with redirect_stdout(sys.stderr):
            package.log_artifact(page, name=f"{directory.name}-report", type="report")

    def end() -> None:
        with redirect_stdout(sys.stderr):
            package.finish()

    return _Adapter(package.log, keep, end)


def wandb(directory: Path, recipe: Recipe) -> Tracker:
    package = importlib.import_module("wandb")
    quiet = {"silent": True, "console": "off", "save_code": False}
    private = {"disable_git": True, "x_disable_stats": True, "x_disable_meta": True, "x_disable_machine_info": True}
    private["x_save_requirements"] = False
    settings = package.Settings(**quiet, **private)
    try:
        run = package.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=directory.name,
            # One run of theirs for each directory, so that going on goes on there, too.
            id=stable_id("tracked", str(directory.resolve())),
            resume="allow",
            dir=str(directory),
            config=as_dict(recipe),
            settings=settings,
        )
    except package.Error as problem:
        raise RecipeError(
            f"--track wandb: it cannot begin ({problem}); run `wandb login`, or set WANDB_MODE=offline"
        ) from problem
    run.define_metric("train/loss", step_metric="train/step")
    run.define_metric("*", step_metric="round")

    def keep(page: Path) -> None:
        run.log_artifact(str(page), name=f"{directory.name}-report", type="report")

    return _Adapter(run.log, keep, run.finish)
