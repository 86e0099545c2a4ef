"""How well a seed under the dial `questions` judges in other ways than by one score, on prompts of the report split.

All greedy, on demonstrations (three to a prompt), against the planted truth; intervals resample prompts.

`comparison_right`: verdicts that name the truly better of two replies, both orders asked; `comparison_first`: those for
the first slot. `list_right`: pairs of unequal replies that a list of three orders as the oracle does, shown forwards
and backwards. `principle_*_right`: verdicts that name the reply which the principle prefers. `rubric_right`: criteria
of the right answer's checklist that are answered as they are; `rubric_other_right`: the same of another task's
checklist, so that the rubric and not the task is followed. `step_right`, `step_wrong_found`, `step_right_kept`: steps
that are judged as they are, and the share among wrong ones and among right ones.
"""

from dataclasses import asdict
from itertools import combinations, permutations
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import LlamaForCausalLM

from selfreward.tasks.sandbox.oracle import oracle_score, read_reply
from selfreward.tasks.sandbox.pools import judge_pool
from selfreward.tasks.sandbox.prompts import (
    comparison_prompt,
    list_prompt,
    principle_prompt,
    rubric_prompt,
    step_prompt,
)
from selfreward.tasks.sandbox.questions import (
    PRINCIPLES,
    Criterion,
    checklist,
    finding,
    step_is_right,
    steps_of,
    worth,
)
from selfreward.tasks.sandbox.seeds.floors import estimate_with_interval
from selfreward.tasks.sandbox.seeds.sampling import sample_replies
from selfreward.tasks.sandbox.tasks import Task

LONGEST_COMPARISON, LONGEST_LIST, LONGEST_RUBRIC, LONGEST_STEP = 72, 104, 56, 32
_REPLIES = 3
Values = dict[str, list[list[float]]]
Group = tuple[Task, list[str]]


def measure_questions(model_dir: Path, prompts: int) -> dict[str, Any]:
    """Estimates by name, as `measure_skill` writes them."""
    model = LlamaForCausalLM.from_pretrained(model_dir)
    pool = judge_pool(prompts * _REPLIES)
    groups = [
        (pool[at].task, list(dict.fromkeys(item.response for item in pool[at : at + _REPLIES])))
        for at in range(0, len(pool), _REPLIES)
    ]
    measured: Values = {}
    for part in (_compared, _listed, _by_rubric, _stepped):
        measured |= part(model, groups)
    return {name: asdict(estimate_with_interval(values, fmean)) for name, values in measured.items()}


def _ask(model: LlamaForCausalLM, questions: list[str], longest: int) -> list[str]:
    return [reply for (reply,) in sample_replies(model, questions, longest=longest, seed=10)]


def _compared(model: LlamaForCausalLM, groups: list[Group]) -> Values:
    asked = [(number, task, *pair) for number, (task, given) in enumerate(groups) for pair in permutations(given, 2)]
    found: Values = {"comparison_right": [[] for _ in groups], "comparison_first": [[] for _ in groups]}
    plain = [(row, oracle_score(row[1], row[2]) - oracle_score(row[1], row[3])) for row in asked]
    unequal = [(row, gap) for row, gap in plain if gap]
    verdicts = _ask(model, [comparison_prompt(task.text, *pair) for (_, task, *pair), _ in unequal], LONGEST_COMPARISON)
    for (row, gap), verdict in zip(unequal, verdicts, strict=True):
        found["comparison_right"][row[0]].append(float(verdict.endswith(f"better {1 if gap > 0 else 2}")))
        found["comparison_first"][row[0]].append(float(verdict.endswith("better 1")))
    for principle in PRINCIPLES:
        told = [(row, worth(principle, row[1], row[2]) - worth(principle, row[1], row[3])) for row in asked]
        unequal = [(row, gap) for row, gap in told if gap]
        questions = [principle_prompt(principle, task.text, *pair) for (_, task, *pair), _ in unequal]
        name = f"principle_{principle.replace(' ', '_')}_right"
        found[name] = [[] for _ in groups]
        for (row, gap), verdict in zip(unequal, _ask(model, questions, LONGEST_COMPARISON), strict=True):
            found[name][row[0]].append(float(verdict.endswith(f"better {1 if gap > 0 else 2}")))
    return found


def _listed(model: LlamaForCausalLM, groups: list[Group]) -> Values:
    orders = [(task, list(order)) for task, given in groups for order in (given, given[::-1])]
    replies = _ask(model, [list_prompt(task.text, order) for task, order in orders], LONGEST_LIST)
    found: list[list[float]] = [[] for _ in groups]
    for at, ((task, order), reply) in enumerate(zip(orders, replies, strict=True)):
        ranking = reply.rpartition(" best ")[2].split()
        readable = sorted(ranking) == [str(slot + 1) for slot in range(len(order))]
        for one, other in combinations(range(len(order)), 2):
            gap = oracle_score(task, order[one]) - oracle_score(task, order[other])
            if gap:
                ahead = readable and ranking.index(str(one + 1)) < ranking.index(str(other + 1))
                found[at // 2].append(float(readable and ahead == (gap > 0)))
    return {"list_right": found}


def _by_rubric(model: LlamaForCausalLM, groups: list[Group]) -> Values:
    found: Values = {}
    for name, shift in (("rubric_right", 0), ("rubric_other_right", 1)):
        asked: list[tuple[int, list[Criterion], str]] = []
        questions = []
        for number, (task, given) in enumerate(groups):
            criteria = checklist(groups[(number + shift) % len(groups)][0])
            asked += [(number, criteria, response) for response in given]
            questions += [rubric_prompt([one.text for one in criteria], task.text, response) for response in given]
        found[name] = [[] for _ in groups]
        for (number, criteria, response), reply in zip(asked, _ask(model, questions, LONGEST_RUBRIC), strict=True):
            lines = reply.split(" ; ")[1:]
            for place, criterion in enumerate(criteria):
                said = lines[place].split()[-1:] if len(lines) == len(criteria) else []
                found[name][number].append(float(said == ["yes" if finding(criterion, response)[1] else "no"]))
    return found


def _stepped(model: LlamaForCausalLM, groups: list[Group]) -> Values:
    asked: list[tuple[int, bool]] = []
    questions = []
    for number, (task, given) in enumerate(groups):
        for response in given:
            steps = steps_of(response)
            if len(steps) != len(read_reply(response).items or ()):
                continue
            for at in range(len(steps)):
                asked.append((number, step_is_right(task, response, at + 1)))
                questions.append(step_prompt(task.text, steps[:at], steps[at]))
    found: Values = {name: [[] for _ in groups] for name in ("step_right", "step_wrong_found", "step_right_kept")}
    for (number, right), reply in zip(asked, _ask(model, questions, LONGEST_STEP), strict=True):
        value = float(reply.endswith(f"is {'right' if right else 'wrong'}"))
        found["step_right"][number].append(value)
        found["step_right_kept" if right else "step_wrong_found"][number].append(value)
    return found
