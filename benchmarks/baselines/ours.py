"""This package's own loop as a system that stays between rounds, whole or with one lever away.

    python -m baselines.ours RESULTS LEVERS_AWAY.json [key=value ...]

A round here is `loop.iterate`: it seals every row, scores references, verifies each hand-off and measures the new
policy (on pools as small as the recipe allows), which no baseline does. All of that is in its seconds.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from baselines.channel import Channel
from baselines.workload import quality
from selfreward.commands.environment import environment
from selfreward.commands.preflight import preflight
from selfreward.engines.handoff import HandOffReport
from selfreward.loop import Course, begin, iterate
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe
from selfreward.records import Pair, Prompt, Response
from selfreward.roles.cast import Cast
from selfreward.roles.player import Policy
from selfreward.roles.round import Round
from selfreward.store.results import Store
from selfreward.tasks.sandbox.oracle import oracle_score
from selfreward.tasks.sandbox.world import parse_task


def take_away(levers: Sequence[str]) -> None:
    """Levers that no recipe key moves, because nobody should: without them the engine is only slower."""
    from selfreward.engines.vllm import engine as vllm_engine
    from selfreward.engines.vllm import process as vllm_process

    if "prefix cache" in levers:
        arguments = vllm_process.arguments

        def without(*given: Any) -> dict[str, Any]:
            return {**arguments(*given), "enable_prefix_caching": False}

        vllm_process.arguments = without
    if "no barrier" in levers:
        del vllm_engine.VllmEngine.converse


class AloneRound(Round):
    """As with a process per stage: whoever asks the model next builds an engine first."""

    def complete(self, work: Any) -> Any:
        rows = super().complete(work)
        if work.artifact in ("responses", "judgments", "pairs"):
            self.cast.close()
        return rows


class Alone(Course):
    def round(self, number: int) -> Round:
        return AloneRound(**vars(super().round(number)))


def main() -> None:
    channel = Channel()
    away = json.loads(sys.argv[2])
    take_away(away)
    recipe = build_recipe([], sys.argv[3:])
    start, source, verifier = preflight(recipe)
    checks: list[str] = []

    def note(_: Policy, report: HandOffReport) -> None:
        checks.append(report.kind)

    opened = Store(Path(sys.argv[1]), share=False).open_run("run", recipe, environment=environment(recipe))
    with opened as artifacts, closing(Cast(recipe, note)) as cast:
        kind = Alone if "one engine" in away else Course
        course = kind(recipe, source, verifier, artifacts, cast, Progress())
        begin(course, start)
        channel.say({"ready": True})
        for number in channel.rounds():
            before = dict(cast.report() or {})
            iterate(course, number)
            facts = judging_facts(artifacts, number)
            facts |= quality(truths(artifacts, number))
            after = cast.report()
            if after and before and "one engine" not in away:
                queries, hits = (after[name] - before[name] for name in ("prompt_tokens", "cached_tokens"))
                facts |= {"queries": queries, "hits": hits, "built": after["built"]}
            channel.say({**facts, "hand-offs": dict(Counter(checks))})


def judging_facts(artifacts: Any, number: int) -> dict[str, Any]:
    seals = [artifacts.seal(number, name) for name in ("judgments", "judgments_first", "judgments_further")]
    asked = [seal for seal in seals if seal is not None and seal.seconds > 0]
    parts = [seal for seal in asked if seal.artifact != "judgments"] or asked
    return {
        "judge_seconds": sum(seal.seconds for seal in parts),
        "judge_tokens": sum(seal.tokens for seal in parts),
        "judgments": sum(seal.rows for seal in parts),
        "train_seconds": artifacts.seal(number, "checkpoint").seconds,
    }


def truths(artifacts: Any, number: int) -> list[tuple[float, float]]:
    """The oracle's score of both answers of each pair."""
    asked = {prompt.id: prompt.text for prompt in artifacts.read(number, "prompts", Prompt)}
    answers = {answer.id: answer.text for answer in artifacts.read(number, "responses", Response)}
    found = []
    for pair in artifacts.read(number, "pairs", Pair):
        task = parse_task(asked[pair.prompt_id])
        if pair.kind == "answer" and task is not None:
            chosen, rejected = answers[pair.chosen_id], answers[pair.rejected_id]
            found.append((oracle_score(task, chosen), oracle_score(task, rejected)))
    return found


if __name__ == "__main__":
    main()
