"""Work for the store's tests, here and in processes that get killed: rows and weights that depend on ids alone."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from selfreward.recipe import Recipe
from selfreward.records import Drop, Response, stable_id
from selfreward.store.results import Run, Store, Work

ENVIRONMENT = {"torch": "2.0", "device": "cpu"}
STEPS = 6


def response(prompt: int, sample: int, words: str = "a short answer") -> Response:
    identity = stable_id("response", prompt, sample)
    return Response(
        id=identity,
        prompt_id=stable_id("prompt", prompt),
        sample=sample,
        policy="0" * 64,
        text=f"{words} to {prompt}\u2028é",
        reasoning="",
        token_ids=tuple(range(prompt % 7 + 1)),
        finish_reason="stop",
        seed=prompt,
        template="generate/1",
        logprob=-prompt / 3,
    )


def responses_work(
    chunks: int = 4,
    size: int = 3,
    pause: float = 0.0,
    round: int = 1,
    made_from: Mapping[str, Any] | None = None,
    before: Callable[[int], None] = lambda _: None,
) -> Work[int, Response]:
    """`chunks` chunks of `size` prompts, two answers each. `before` is called when a chunk is begun."""

    def compute(prompts: Sequence[int], index: int) -> Iterator[Response]:
        before(index)
        for prompt in prompts:
            time.sleep(pause)
            yield from (response(prompt, sample) for sample in range(2))

    numbers = [range(start, start + size) for start in range(0, chunks * size, size)]
    return Work(round, "responses", Response, made_from or {"temperature": 1.0, "chunk": size}, numbers, compute)


def drops_work(before: Callable[[int], None] = lambda _: None) -> Work[int, Drop]:
    """Three chunks of one short row, so that every byte offset can be tried."""

    def compute(numbers: Sequence[int], index: int) -> Iterator[Drop]:
        before(index)
        yield from (Drop(stable_id(number), "pairs", "answer", f"é{number}", "tie") for number in numbers)

    return Work(1, "dropped", Drop, {"margin": 0.5}, [[3], [1], [2]], compute)


def train(pause: float = 0.0) -> Callable[[Path, Path], Mapping[str, Any]]:
    """A builder that goes on from its last saved step; its weights are a hash chain over all steps."""

    def build(out: Path, scratch: Path) -> Mapping[str, Any]:
        saved = scratch / "step.json"
        state = json.loads(saved.read_text()) if saved.exists() else {"step": 0, "weights": ""}
        while state["step"] < STEPS:
            time.sleep(pause)
            weights = hashlib.sha256(f"{state['weights']}{state['step']}".encode()).hexdigest()
            state = {"step": state["step"] + 1, "weights": weights}
            beside = scratch / "step.tmp"
            beside.write_text(json.dumps(state))
            beside.replace(saved)
            with (scratch.parent.parent / "steps.log").open("a") as log:
                log.write(f"{state['step']}\n")
        (out / "model.safetensors").write_text(state["weights"] * 50)
        (out / "config.json").write_text("{}")
        return {"digest": state["weights"], "steps": STEPS}

    return build


def whole_run(run: Run, pause: float = 0.0) -> None:
    """What the killed process does: two stages and a checkpoint."""
    run.complete(responses_work(pause=pause))
    run.complete_directory(1, "checkpoint", {"learning_rate": 0.1}, train(pause))
    run.complete(drops_work(lambda _: time.sleep(pause)))


def main(root: str, name: str, pause: str, then: str) -> None:
    with Store(Path(root)).open_run(name, Recipe(), environment=ENVIRONMENT) as run:
        if then == "hold":
            print("holding", flush=True)
            time.sleep(600)
        whole_run(run, float(pause))


if __name__ == "__main__":
    main(*sys.argv[1:])
