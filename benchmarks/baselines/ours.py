"""This package's own loop as a system that stays between rounds, whole or with one lever away.

    python -m baselines.ours RESULTS LEVERS_AWAY.json [key=value ...]

A round here is `loop.iterate`: it seals every row, scores references, verifies each hand-off and, where the recipe says
so, measures the new policy (on pools as small as it allows), which no baseline does. All of that is in its seconds.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from baselines.channel import Channel
from baselines.workload import by_lot, digest_of, quality, truth
from selfreward.commands.environment import environment
from selfreward.commands.preflight import preflight
from selfreward.engines.handoff import HandOffReport
from selfreward.engines.protocol import Engine
from selfreward.judging.prompts import pointwise
from selfreward.loop import Course, begin, iterate
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe
from selfreward.records import Pair, Prompt, Response
from selfreward.roles.cast import Cast
from selfreward.roles.player import Policy
from selfreward.roles.round import Round
from selfreward.store.results import Store


def take_away(levers: Sequence[str]) -> None:
    """Levers that no recipe key moves, because nobody should: without them the engine is only slower.

    Without verdicts what is read in a judgment is a lot, as in `Work.read`.
    """
    from selfreward.engines.vllm import engine as vllm_engine
    from selfreward.engines.vllm import process as vllm_process

    if "prefix cache" in levers:
        arguments = vllm_process.arguments

        def without(*given: Any) -> dict[str, Any]:
            return {**arguments(*given), "enable_prefix_caching": False}

        vllm_process.arguments = without
    if "no barrier" in levers:
        del vllm_engine.VllmEngine.converse
    if "verdicts" in levers:
        pointwise.read = lambda _, completion: by_lot(completion.text)


class TimedCast(Cast):
    """Knows how long it took to put weights into the engine and to verify them."""

    handing_on = 0.0

    def _held(self, policy: Policy) -> Engine:
        begun, before = time.perf_counter(), self._engine and (self._engine.policy, self._text_files)
        engine = super()._held(policy)
        if before != (engine.policy, self._text_files):
            self.handing_on += time.perf_counter() - begun
        return engine


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
    with opened as artifacts, closing(TimedCast(recipe, note)) as cast:
        kind = Alone if "one engine" in away else Course
        course = kind(recipe, source, verifier, artifacts, cast, Progress())
        begin(course, start)
        channel.say({"ready": True})
        for number in channel.rounds():
            before = dict(cast.report() or {})
            cast.handing_on = 0.0
            iterate(course, number)
            facts = judging_facts(artifacts, number)
            facts |= stage_facts(artifacts, number, cast.handing_on)
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
    }


def stage_facts(artifacts: Any, number: int, handing_on: float) -> dict[str, Any]:
    """Seconds by stage, from the seals; weights are handed on when the answers are asked for."""
    answers, pairs, trained = (artifacts.seal(number, name) for name in ("responses", "pairs", "checkpoint"))
    return {
        "stages": {
            "generate": answers.seconds - handing_on,
            "judge": judging_facts(artifacts, number)["judge_seconds"],
            "reference": pairs.seconds,
            "train": trained.seconds,
            "hand-off": handing_on,
        },
        "prompts": digest_of(artifacts.read(number, "prompts", Prompt)),
        "answers": answers.rows,
        "answer_tokens": answers.tokens,
        "steps": trained.facts["steps"],
    }


def truths(artifacts: Any, number: int) -> list[list[float]]:
    """The oracle's score of both answers of each pair, where there is an oracle."""
    asked = {prompt.id: prompt.text for prompt in artifacts.read(number, "prompts", Prompt)}
    answers = {answer.id: answer.text for answer in artifacts.read(number, "responses", Response)}
    return [
        truth(asked[pair.prompt_id], answers[pair.chosen_id], answers[pair.rejected_id])
        for pair in artifacts.read(number, "pairs", Pair)
        if pair.kind == "answer"
    ]


if __name__ == "__main__":
    main()
