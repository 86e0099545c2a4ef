"""What the probes of a recipe ask: each gets its questions, or the recipe is refused before anything is sampled.

In the sandbox: tasks without a claim, and the same ones with a wrong claim; its language has one second turn, which
`pressure` says five times. Elsewhere
`are_you_sure` and `pressure` ask the prompts of the pool, where `measure.verifier` reads a final answer, or the sets of
`probe_files` whose verifier does, or our own arithmetic; `wrong_belief` and `opinion_mirroring` ask the sets of
`probe_files`, or our own small one; `conversations.py` has what the others ask. Which questions of a longer list are
asked is decided by a hash of their ids.

A probe is of the report pool, unless a gate reads one of its metrics: then it is of the gate pool and steers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from selfreward.errors import RecipeError
from selfreward.measuring.probes.behaviour import behaviour
from selfreward.measuring.probes.conversations import Begin, conversations, pressing
from selfreward.measuring.probes.conversations import start as _start
from selfreward.measuring.probes.pressure import ENGLISH as PRESSED
from selfreward.measuring.probes.pressure import Pressing
from selfreward.measuring.probes.sycophancy import (
    ENGLISH,
    ClaimPair,
    Turns,
    are_you_sure,
    opinion_mirroring,
    wrong_belief,
    wrong_claim,
)
from selfreward.recipe import PROBES, Recipe
from selfreward.records import Message, Pool, Prompt, stable_id
from selfreward.tasks.sandbox.draws import Split
from selfreward.tasks.sandbox.pools import claim_pool
from selfreward.tasks.sandbox.tasks import Task
from selfreward.tasks.sandbox.words import DOUBT
from selfreward.tasks.sets.sets import ProbeSet, read_set, some
from selfreward.tasks.sets.sycophancy import BehaviourRow, SycophancyRow
from selfreward.tasks.verifiers.protocol import Verifier, load_verifier

FINAL_ANSWERS = ("exact", "choice", "numeric", "mathematics")
"""Verifiers of something that can be asked for again: "so what is your final answer?"."""
TURNS_OF_PRESSURE = len(PRESSED.turns)


@dataclass(frozen=True)
class Questions:
    """What can be asked. `oracle`: the truth of `graded` and `claims` is one that a user would not have.

    `further` starts the probes of `conversations.py`, and `contents` are digests of what some of them ask.
    """

    graded: Sequence[tuple[Sequence[Prompt], Verifier]] = ()
    turns: Turns = ENGLISH
    pressed: Pressing = PRESSED
    claims: Sequence[ClaimPair] = ()
    beliefs: Sequence[SycophancyRow] = ()
    opinions: Sequence[SycophancyRow] = ()
    behaviours: Sequence[BehaviourRow] = ()
    oracle: bool = False
    made_from: list[str] = field(default_factory=list)
    further: Mapping[str, list[Begin]] = field(default_factory=dict)
    contents: Mapping[str, list[str]] = field(default_factory=dict)

    def told(self, probe: str) -> str:
        """What the probe's values are made from."""
        return stable_id([*self.made_from, *self.contents.get(probe, ())])

    def probes(self) -> dict[str, list[Begin]]:
        """Each probe that has questions, with what starts it: one conversation after the other for each set."""
        found: dict[str, list[Begin]] = {name: [*self.further.get(name, ())] for name in PROBES}
        found["pressure"] += pressing(self.graded, self.pressed, oracle=self.oracle)
        for questions, verifier in self.graded:
            found["are_you_sure"].append(_start(are_you_sure, questions, verifier, self.turns, oracle=self.oracle))
        if self.claims:
            found["wrong_claim"].append(_start(wrong_claim, self.claims, self.graded[0][1], oracle=self.oracle))
        if self.beliefs:
            found["wrong_belief"].append(_start(wrong_belief, self.beliefs))
        if self.opinions:
            found["opinion_mirroring"].append(_start(opinion_mirroring, self.opinions))
        if self.behaviours:
            found["behaviour"].append(_start(behaviour, self.behaviours))
        return {name: starts for name, starts in found.items() if starts}


def sandbox_questions(split: Split, count: int) -> Questions:
    verifier = load_verifier("sandbox")
    pool = claim_pool(split, count)
    pairs = [ClaimPair(_task_prompt(task, ""), _task_prompt(claimed, "claim")) for task, claimed in pool]
    neutral = [pair.neutral for pair in pairs]
    asked = [pair.cued.id for pair in pairs]
    pressed = Pressing((DOUBT,) * TURNS_OF_PRESSURE)
    return Questions(((neutral, verifier),), Turns(DOUBT), pressed, pairs, oracle=True, made_from=asked)


def _task_prompt(task: Task, form: str) -> Prompt:
    return Prompt(stable_id("asked", task.text, form), (Message("user", task.text),), "report", "sandbox", task.family)


def file_questions(files: Sequence[str], count: int, pool: Sequence[Prompt] = (), verifier: str = "none") -> Questions:
    """The sets named by `files`, and what takes their place where there is none for a probe.

    Raises DataError for a file that cannot be read.
    """
    sets = [read_set(reference) for reference in files]
    final = [one for one in sets if one.verifier in FINAL_ANSWERS]
    graded = [(some(one.prompts, count), load_verifier(one.verifier)) for one in final]
    known = [prompt for prompt in pool if prompt.answer is not None]
    if not graded and verifier in FINAL_ANSWERS and known:
        graded = [(some(known, count), load_verifier(verifier))]
    if not graded:
        own = read_set("own:arithmetic")
        graded = [(some(own.prompts, count), load_verifier(own.verifier))]
    talks = [row for one in sets if one.kind == "sycophancy" for row in one.rows] or read_set("own:sycophancy").rows
    behaviours = [row for one in sets if one.kind == "behaviour_drift" for row in one.rows]
    by_probe = {name: [row for row in talks if row.probe == name] for name in ("wrong_belief", "opinion_mirroring")}
    further, contents = conversations(sets, graded, count)
    return Questions(
        graded,
        beliefs=some(by_probe["wrong_belief"], count),
        opinions=by_probe["opinion_mirroring"],
        behaviours=behaviours,
        made_from=sorted(_contents(sets, graded)),
        further=further,
        contents=contents,
    )


def _contents(sets: Sequence[ProbeSet], graded: Sequence[tuple[Sequence[Prompt], Verifier]]) -> list[str]:
    """What the questions are, as digests of their rows."""
    rows = [repr(row) for one in sets for row in one.rows] + [repr(prompt) for asked, _ in graded for prompt in asked]
    return [stable_id(row) for row in rows]


def questions_of(recipe: Recipe, pools: Sequence[Prompt]) -> dict[str, tuple[Pool, Questions]]:
    """Each probe of the recipe with its pool and the questions of that pool. Raises RecipeError for one without."""
    measure, gates = recipe.measure, [rule for rule in recipe.gates.rules if rule.pool == "gate"]
    found: dict[str, tuple[Pool, Questions]] = {}
    made: dict[str, Questions] = {}
    for name in measure.probes:
        pool: Literal["gate", "report"] = "gate" if any(rule.metric.startswith(name) for rule in gates) else "report"
        if pool not in made and measure.source.kind == "sandbox":
            made[pool] = sandbox_questions(pool, measure.probe_questions)
        elif pool not in made:
            inside = [prompt for prompt in pools if prompt.pool == pool]
            made[pool] = file_questions(measure.probe_files, measure.probe_questions, inside, measure.verifier)
        require_probes([name], made[pool])
        found[name] = (pool, made[pool])
    return found


def require_probes(names: Sequence[str], questions: Questions) -> None:
    """Raise RecipeError for a probe without questions."""
    available = questions.probes()
    for name in names:
        if name not in available:
            raise RecipeError(
                f"probe {name!r} has no question to ask here; expected one of {', '.join(available)}, or a file of its "
                "kind in measure.probe_files (behaviour: behaviour_drift:PATH; wrong_claim: the sandbox's prompts only)"
            )
