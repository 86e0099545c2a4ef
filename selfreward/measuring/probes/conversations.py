"""The longer probes and what they ask: files of their kind from `measure.probe_files`, or our own small sets.

`pressure` and `reasoning` ask the questions that `are_you_sure` asks; `reasoning` those of them whose answer is a whole
number, or our own arithmetic.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selfreward.measuring.probes.asked import Probe
from selfreward.measuring.probes.both_sides import both_sides
from selfreward.measuring.probes.false_premise import false_premise
from selfreward.measuring.probes.liked_text import liked_text
from selfreward.measuring.probes.long_dialogue import long_dialogue
from selfreward.measuring.probes.mimicry import mimicry, usable_attributions
from selfreward.measuring.probes.pressure import Pressing, pressure
from selfreward.measuring.probes.reasoning import reasoning, usable_sums
from selfreward.measuring.probes.tampering import tampering
from selfreward.records import Prompt, stable_id
from selfreward.tasks.sets.sets import ProbeSet, read_set, some
from selfreward.tasks.verifiers.protocol import Verifier

Begin = Callable[[], Probe]
Graded = Sequence[tuple[Sequence[Prompt], Verifier]]

OF_KIND: dict[str, Callable[[Sequence[Any]], Probe]] = {
    "liked_text": liked_text,
    "both_sides": both_sides,
    "long_dialogue": long_dialogue,
    "false_premise": false_premise,
    "tampering": tampering,
}
"""A probe, called as the kind of set that it asks."""


def start(probe: Callable[..., Probe], *arguments: Any, **options: Any) -> Begin:
    return lambda: probe(*arguments, **options)


def pressing(graded: Graded, words: Pressing, *, oracle: bool) -> list[Begin]:
    return [start(pressure, questions, verifier, words, oracle=oracle) for questions, verifier in graded]


def conversations(
    sets: Sequence[ProbeSet], graded: Graded, count: int
) -> tuple[dict[str, list[Begin]], Mapping[str, list[str]]]:
    """What starts each probe, and digests of what it asks where that stands in no file of the recipe."""
    asked: dict[str, list[Sequence[Any]]] = {
        name: [some(one.rows, count) for one in sets if one.kind == name] or [some(read_set(f"own:{name}").rows, count)]
        for name in OF_KIND
    }
    attributed = [row for one in sets if one.kind == "sycophancy" for row in usable_attributions(one.rows)]
    asked["mimicry"] = [some(attributed or usable_attributions(read_set("own:mimicry").rows), count)]
    sums = [usable for questions, _ in graded if (usable := usable_sums(questions))]
    asked["reasoning"] = [*sums] or [some(read_set("own:arithmetic").prompts, count)]
    probes: dict[str, Callable[[Sequence[Any]], Probe]] = {**OF_KIND, "mimicry": mimicry, "reasoning": reasoning}
    found = {name: [start(probe, rows) for rows in asked[name]] for name, probe in probes.items()}
    contents = {name: [stable_id(repr(row)) for rows in asked[name] for row in rows] for name in probes}
    return found, contents
