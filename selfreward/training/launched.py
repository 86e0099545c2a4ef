"""Training in a process of its own, started by `accelerate launch` (train.launch: accelerate).

The child trains exactly as this process would: same functions, same rows, same seeds, so on a CPU the same weights byte
for byte. What it gains is that all of its memory goes back when it ends, the allocator's and the libraries' too, which
a process that also holds an engine never gives back whole; how much is logged. It costs a start, some seconds a round.

The job lies in the scratch directory: `job.json` and `rows.jsonl`. Child and parent speak in lines of JSON on the
child's standard output (`step`, `say`, and last `report` or `error`). The child ends when its standard input is closed,
so it does not outlive a parent that was killed; a parent that is stopped ends it. A child that is killed leaves its
saved steps in the scratch directory, and the same command goes on from the last whole one.

One process on one device (train.processes is 1): the launcher gets a configuration of its own, so that a user's default
(several GPUs, DeepSpeed) does not change what is computed, and the child is shown one GPU: the recipe's, else the first
that this process sees. The others are vLLM's, where it is split over several.

Several processes are the ranks of ranks.py, on the first GPUs that this process sees, or on the cores of a CPU. They
are started by torch's launcher, which is what `accelerate launch` itself starts, though not on a CPU; or, with
train.accelerate_config, by accelerate's, as that file says. The launcher gives each rank a session of its own, beyond a
signal to the launcher's: ranks end with their standard input too, and are waited for by the end of their output.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from selfreward import errors
from selfreward.errors import SelfRewardError, TrainingError
from selfreward.recipe import Recipe, Steps, as_dict
from selfreward.records import to_line
from selfreward.store.files import on_disk
from selfreward.training.jobs import Job
from selfreward.training.output import TrainingReport
from selfreward.training.saved_steps import Progress
from selfreward.training.session import device_type

CHILD = "selfreward.training.launched_child"


def train_launched(
    recipe: Recipe,
    job: Job,
    *,
    out: Path,
    scratch: Path,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    note: Callable[..., None] | None = None,
) -> TrainingReport:
    """Train in a child and wait for it. `note` is told the memory that ended with it, in bytes.

    Raises what the child raises of the SelfRewardError tree, and TrainingError for a child that ends without a report.
    """
    train = recipe.train
    assert isinstance(train, Steps)
    environment = _without_ranks(os.environ) if train.processes == 1 else dict(os.environ)
    if on_gpu := device_type(recipe.model) == "cuda":
        visible = environment.get("CUDA_VISIBLE_DEVICES")
        environment["CUDA_VISIBLE_DEVICES"] = shown_gpus(recipe.model.device, visible, train.processes)
        recipe = replace(recipe, model=replace(recipe.model, device="cuda"))
    elif train.processes > 1:
        environment["ACCELERATE_USE_CPU"] = "1"
    command = _command(_written(recipe, job, out, scratch), train, recipe.engine.threads, on_gpu)
    if train.processes > 1:
        environment["OMP_NUM_THREADS"] = str(recipe.engine.threads)  # before torch is loaded, in every rank
    with _running(command, environment) as process:
        assert process.stdout is not None
        for event in map(_event, process.stdout):
            if "step" in event and progress is not None:
                progress(*event["step"])
            elif "say" in event and say is not None:
                say(event["say"])
            elif "error" in event:
                raise _as_error(*event["error"])
            elif "report" in event:
                process.wait()
                if note is not None:
                    note(**event["memory"])
                return TrainingReport(**{**event["report"], "directory": out, "notes": tuple(event["report"]["notes"])})
        raise TrainingError(
            f"the training process ended without a report (exit code {process.wait()}): it was killed, perhaps because "
            "memory ran out, or what it wrote above says why; its saved steps are kept, and the same command goes on "
            "from the last one; a smaller train.micro_batch_size needs less memory"
        )


def _without_ranks(environment: Mapping[str, str]) -> dict[str, str]:
    """One process has nobody to meet, whatever a cluster's job says of ranks: ranks.py would wait for them."""
    return {name: value for name, value in environment.items() if name not in ("WORLD_SIZE", "RANK", "LOCAL_RANK")}


def shown_gpus(device: str, visible: str | None, processes: int = 1) -> str:
    """What CUDA_VISIBLE_DEVICES must be for processes that train on `device` and those after it; `visible`: here."""
    start = int(device.partition(":")[2] or "0")
    names = list(map(str, range(start + processes))) if visible is None else [one.strip() for one in visible.split(",")]
    return ",".join(names[start : start + processes])


def _written(recipe: Recipe, job: Job, out: Path, scratch: Path) -> Path:
    """The job's file. Floats are written so that they are read back bit for bit."""
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / "job.json"
    content = {
        "recipe": as_dict(recipe),
        "kind": job.kind,
        "start": str(job.start),
        "out": str(out),
        "scratch": str(scratch),
        "settings": dict(job.settings),
    }
    records = job.kind != "texts"
    lines = [to_line(row) if records else json.dumps([list(side) for side in row]) for row in job.rows]
    with on_disk(scratch):
        (scratch / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _command(job: Path, train: Steps, threads: int, on_gpu: bool) -> list[str]:
    child = ["--module", CHILD, str(job)]
    launcher = [sys.executable, "-m", "accelerate.commands.launch"]
    told = ["--num_cpu_threads_per_process", str(threads)]
    if train.accelerate_config is not None:
        # The port is any that is free: two runs on one machine must not meet.
        many = ["--num_processes", str(train.processes), "--main_process_port", "0"]
        return [*launcher, "--config_file", train.accelerate_config, *many, *told, *child]
    if train.processes > 1:
        elastic = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        return [*elastic, "--nproc_per_node", str(train.processes), *child]
    settings = job.with_name("accelerate.yaml")
    chosen = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "NO",
        "mixed_precision": "no",
        "num_machines": 1,
        "num_processes": 1,
        "use_cpu": not on_gpu,
    }
    # JSON is YAML. Precision is the trainer's own argument.
    settings.write_text(json.dumps(chosen), encoding="utf-8")
    return [*launcher, "--quiet", "--config_file", str(settings), *told, *child]


@contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, which is gone afterwards, however the block ends."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.read()
        process.stdout.close()


def _event(line: str) -> Mapping[str, Any]:
    """What the child says; nothing for a line that a library printed, which goes on to standard error."""
    with suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict):
            return found
    sys.stderr.write(line)
    return {}


def _as_error(name: str, message: str) -> SelfRewardError:
    kind = getattr(errors, name, TrainingError)
    assert issubclass(kind, SelfRewardError)
    return kind(message)
