"""A pool as a task of inspect_ai: the run's prompts, its number of samples as epochs, its verifier as the scorer.

`selfreward_task.py` beside the pools calls this. An epoch is one answer to each prompt, and what is told is the mean
over prompts of the means over epochs, which is the run's `true_accuracy` where no answer is left open; the standard
error is inspect's own, over prompts.
"""

from typing import Any

from selfreward.commands.harness.pool import figures, pool_in
from selfreward.records import Message


def pool_task(directory: str, name: str) -> Any:
    """The Task of one pool. Needs inspect_ai."""
    from inspect_ai import Epochs, Task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import GenerateConfig
    from inspect_ai.solver import generate

    pool = pool_in(directory, name)
    samples = [
        Sample(
            input=[_turn(message) for message in pool.asked(prompt)],
            target=prompt.answer or "",
            id=prompt.id,
            metadata={"cohort": prompt.cohort},
        )
        for prompt in pool.prompts.values()
    ]
    told = pool.told
    return Task(
        dataset=MemoryDataset(samples, name=f"{told.run}-{name}"),
        solver=generate(),
        scorer=_verified(directory, name),
        epochs=Epochs(told.samples, "mean"),
        config=GenerateConfig(temperature=told.temperature, top_p=told.top_p, max_tokens=told.max_tokens),
        name=f"selfreward-{name}",
        metadata={"run": told.run, "round": told.round, "verifier": told.verifier},
    )


def _turn(message: Message) -> Any:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds: dict[str, Any] = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    return kinds[message.role](content=message.content)


def _verified(directory: str, name: str) -> Any:
    from inspect_ai.scorer import Score, mean, scorer, stderr

    def by_verifier() -> Any:
        async def score(state: Any, target: Any) -> Any:
            truth = pool_in(directory, name).truth(str(state.sample_id), state.output.completion)
            return Score(value=figures(truth), answer=truth.answer, explanation=truth.open or None)

        return score

    return scorer(metrics={"*": [mean(), stderr()]})(by_verifier)()
