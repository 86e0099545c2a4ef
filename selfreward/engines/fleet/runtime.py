"""All that is Ray's: started on this machine, or found where RAY_ADDRESS says, and replicas as its actors.

A replica is an actor with as many GPUs as its engine computes on, none on a CPU. It is never restarted by Ray: a fleet
makes a new one, which has to prove its weights. Actors end with the process that made them, however that ends.

Ray would lower the priority of its workers, write a token into the home directory, count its users and serve a
dashboard; here it does none of this. What is started here is reached by a token that only this process's children know.
"""

import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from typing import Any

from selfreward.engines.fleet.replica import Replica
from selfreward.errors import EngineError, RecipeError
from selfreward.recipe import EngineRecipe, ModelRecipe, VllmRecipe

ADDRESS = "RAY_ADDRESS"
LOOK = 0.5
"""Seconds after which whoever waits for an answer looks whether it is still wanted."""

PATIENCE = 30.0
"""Seconds for which whoever joins a busy Ray waits for room."""

_started_here = False
"""Whether this module has started or joined Ray, which is one for the process."""


class Lost(Exception):  # noqa: N818 (no failure of ours: the fleet asks another one)
    """The replica's process is gone."""


def require_ray() -> None:
    if find_spec("ray") is None:
        raise RecipeError(
            "key 'engine.replicas' is above 1, but Ray is not installed; pip install 'selfreward-loop[ray]', or set it "
            "to 1"
        )


def start(engine: EngineRecipe, replicas: int, on_gpu: bool) -> None:
    """Start Ray for this process, or join the one that RAY_ADDRESS names, or that the caller has started.

    Raises EngineError where that has no room, or not within PATIENCE: replicas of before may still be ending there.
    """
    global _started_here
    require_ray()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_worker_niceness", "0")
    joined = bool(os.environ.get(ADDRESS))
    if not joined and "ray" not in sys.modules:
        # Read once, when Ray is loaded.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray

    found = ray.is_initialized()
    if not found:
        # Replicas wait for calls most of the time that the machine's other processes work: cores are not counted out.
        alone: dict[str, Any] = {} if joined else {"num_cpus": replicas * engine.threads, "include_dashboard": False}
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **alone)
        _started_here = True
    needed = {"CPU": float(replicas * engine.threads), "GPU": float(replicas * _gpus(engine, on_gpu))}
    _require_room(replicas, needed, ray.cluster_resources(), "has")
    if not (joined or found):
        return
    end = time.monotonic() + PATIENCE
    while _lacking(needed, ray.available_resources()) and time.monotonic() < end:
        time.sleep(LOOK)
    _require_room(replicas, needed, ray.available_resources(), "has free")


def _lacking(needed: Mapping[str, float], there: Mapping[str, float]) -> list[str]:
    return [kind for kind, amount in needed.items() if there.get(kind, 0.0) < amount]


def _require_room(replicas: int, needed: Mapping[str, float], there: Mapping[str, float], has: str) -> None:
    for kind in _lacking(needed, there):
        raise EngineError(
            f"{replicas} replicas need {needed[kind]:g} {kind}s, but Ray {has} {there.get(kind, 0.0):g}; lower "
            "engine.replicas or engine.threads, or add nodes"
        )


def stop(replicas: Sequence[Any]) -> None:
    """End the replicas, and Ray where it was started or joined here; one that the caller has started goes on."""
    global _started_here
    import ray

    if _started_here:
        ray.shutdown()
        _started_here = False
    elif ray.is_initialized():
        for replica in replicas:
            kill(replica)


def make(model: ModelRecipe, engine: EngineRecipe, day: date | None, on_gpu: bool) -> Any:
    """A new replica, whose process may still be starting."""
    import ray

    actor: Any = ray.remote(Replica)
    chosen = actor.options(num_cpus=engine.threads, num_gpus=_gpus(engine, on_gpu), max_restarts=0)
    return chosen.remote(model, engine, day)


def kill(replica: Any) -> None:
    import ray

    ray.kill(replica)


def wait_for(replica: Any, method: str, *parameters: Any, wanted: Callable[[], bool]) -> Any:
    """What a replica answers. Raises Lost where it is gone, EngineError where nobody wants the answer any more."""
    import ray

    try:
        asked = getattr(replica, method).remote(*parameters)
        while not ray.wait([asked], timeout=LOOK)[0]:
            if not wanted():
                raise EngineError("the replica's answer is not waited for any more; nothing of it is kept")
        return ray.get(asked)
    except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as problem:
        raise Lost(str(problem)) from problem


def _gpus(engine: EngineRecipe, on_gpu: bool) -> int:
    if not on_gpu:
        return 0
    return engine.tensor_parallel_size if isinstance(engine, VllmRecipe) else 1
