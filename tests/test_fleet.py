"""Several engines asked as one: what one answers, whatever dies; what a replica holds is shown before it is asked."""

import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from training_factory import random_pairs, tiny_policy

from selfreward.engines import build_engine
from selfreward.engines.handoff import verify
from selfreward.engines.protocol import Overlapping, Request, TokenReader, TokenSequence
from selfreward.engines.tensors import weights_digest
from selfreward.errors import EngineError, HandOffError
from selfreward.recipe import HandOffRecipe, ModelRecipe, TransformersRecipe
from selfreward.records import Message

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")]

MODEL = ModelRecipe(device="cpu")
ONE, TWO = TransformersRecipe(), TransformersRecipe(replicas=2)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def fleet() -> Iterator[Any]:
    built: Any = build_engine(MODEL, TWO)
    yield built
    built.close()


def loaded(engine: Any, directory: Path) -> Any:
    engine.load(directory, weights_digest(directory))
    verify(engine, directory, HandOffRecipe(), "float32")
    return engine


def asked(chunk: int, count: int = 12) -> list[Request]:
    says = (Message("user", f"copy the word number {chunk}"),)
    return [Request(f"{chunk}-{n}", says, 2, 1.0, 1.0, 24, seed=0) for n in range(count)]


def processes(fleet: Any) -> list[int]:
    """The replicas' processes; all are idle."""
    return fleet._each("number")


def test_a_fleet_answers_what_one_engine_answers(fleet: Any, start: Path) -> None:
    one, many = loaded(build_engine(MODEL, ONE), start), loaded(fleet, start)
    assert isinstance(many, Overlapping) and isinstance(many, TokenReader) and many.policy == one.policy
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda chunk: many.generate(asked(chunk), chunk), range(6)))
    assert found == [one.generate(asked(chunk), chunk) for chunk in range(6)]
    texts = [TokenSequence(pair.prompt_token_ids, pair.chosen_token_ids) for pair in random_pairs(5)]
    assert many.logprobs(texts) == one.logprobs(texts) and many.checksums() == one.checksums()
    says = asked(0)[0].messages
    assert many.prompt_token_ids(says) == one.prompt_token_ids(says)
    first, second = processes(fleet)
    assert first != second and os.getpid() not in (first, second)


def test_a_replica_that_dies_is_replaced_and_the_call_is_asked_again(fleet: Any, start: Path) -> None:
    one, many = loaded(build_engine(MODEL, ONE), start), loaded(fleet, start)
    before, lost = processes(fleet), many.report()["replaced"]
    os.kill(before[0], signal.SIGKILL)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda chunk: many.generate(asked(chunk), chunk), range(4)))
    assert found == [one.generate(asked(chunk), chunk) for chunk in range(4)]
    assert many.report() == {"replicas": 2, "replaced": lost + 1}
    assert before[1] in processes(fleet) and before[0] not in processes(fleet)


def test_one_replica_with_other_weights_is_refused(fleet: Any, start: Path, tmp_path: Path) -> None:
    from selfreward.engines.fleet.replica import Held

    other = tiny_policy(tmp_path / "other", seed=1)
    fleet.load(start, weights_digest(start))
    assert fleet._ask("load", Held(other, weights_digest(other))) is None
    with pytest.raises(HandOffError, match="the engine does not hold the weights of"):
        verify(fleet, start, HandOffRecipe(), "float32")


def test_a_replica_that_comes_later_has_to_prove_the_same(fleet: Any, start: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(start, tmp_path / "start")
    loaded(fleet, moved)
    other = tiny_policy(tmp_path / "other", seed=1)
    shutil.copyfile(other / "model.safetensors", moved / "model.safetensors")
    for number in processes(fleet):
        os.kill(number, signal.SIGKILL)
    with pytest.raises(HandOffError):
        fleet.generate(asked(0), 0)
    loaded(fleet, start)


def test_what_the_engine_refuses_arrives_as_it_was_raised(fleet: Any, start: Path) -> None:
    loaded(fleet, start)
    long = Request("long", (Message("user", "copy " * 400),), 1, 1.0, 1.0, 24, seed=0)
    with pytest.raises(EngineError) as caught:
        fleet.generate([long], 0)
    assert caught.value.too_long == {"long"}


def test_after_hanging_up_nothing_is_answered_until_it_is_picked_up(fleet: Any, start: Path) -> None:
    one, many = loaded(build_engine(MODEL, ONE), start), loaded(fleet, start)
    many.hang_up()
    with pytest.raises(EngineError, match="not waited for"):
        many.generate(asked(0, 400), 0)
    many.pick_up()
    assert many.generate(asked(1), 1) == one.generate(asked(1), 1)


def test_a_fleet_that_rested_holds_nothing_until_it_is_loaded(fleet: Any, start: Path) -> None:
    loaded(fleet, start).sleep()
    assert fleet.policy is None
    assert loaded(fleet, start).generate(asked(0), 0) == loaded(build_engine(MODEL, ONE), start).generate(asked(0), 0)
