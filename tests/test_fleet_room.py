"""Where a fleet's replicas run: the device that each is told, room in a Ray that others use, and who ends it."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from selfreward.engines.fleet import runtime
from selfreward.engines.fleet.fleet import Fleet, of_replica
from selfreward.errors import EngineError
from selfreward.recipe import ModelRecipe, TransformersRecipe

with_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")
MODEL, TWO = ModelRecipe(device="cpu"), TransformersRecipe(replicas=2)


def test_a_replica_is_told_no_number_of_a_gpu_that_it_does_not_see() -> None:
    assert [of_replica(ModelRecipe(device=device), True).device for device in ("cuda:1", "cuda", "auto")] == [
        "cuda"
    ] * 3
    assert of_replica(MODEL, False) == MODEL


def test_what_lacks_is_named_with_what_there_is() -> None:
    needed = {"CPU": 4.0, "GPU": 0.0}
    assert runtime._lacking(needed, {"CPU": 4.0}) == [] and runtime._lacking(needed, {"CPU": 3.0}) == ["CPU"]
    with pytest.raises(EngineError, match=r"2 replicas need 4 CPUs, but Ray has free 0; lower engine\.replicas"):
        runtime._require_room(2, needed, {}, "has free")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray that the caller has started, with room for two."""
    import ray

    monkeypatch.setattr(runtime, "PATIENCE", 1.0)
    ray.shutdown()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@with_ray
@pytest.mark.slow
def test_a_ray_of_the_callers_is_left_running_and_its_room_is_free_again(ray: Any) -> None:
    for _ in range(2):
        fleet = Fleet(MODEL, TWO, None, on_gpu=False)
        assert len(fleet._each("number")) == 2
        with pytest.raises(EngineError, match="Ray has free 0"):
            Fleet(MODEL, TWO, None, on_gpu=False)
        fleet.close()
        assert ray.is_initialized()
        with pytest.raises(EngineError, match="not waited for"):
            fleet.checksums()
        runtime.PATIENCE = 30.0
        runtime.start(TWO, 2, False)
        runtime.PATIENCE = 1.0
    with pytest.raises(EngineError, match="3 replicas need 3 CPUs, but Ray has 2"):
        runtime.start(TWO, 3, False)
