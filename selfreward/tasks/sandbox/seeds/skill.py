"""Measuring a sandbox model against the truth, on prompts that it never trained on."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from scipy.stats import spearmanr
from transformers import LlamaForCausalLM

from selfreward.tasks.sandbox.annotator import judgment_quality, read_score, read_verdict
from selfreward.tasks.sandbox.oracle import FULL_SCORE, oracle_score
from selfreward.tasks.sandbox.pools import JUDGE_POOL_SIZE, judge_pool, prompt_pool
from selfreward.tasks.sandbox.prompts import NEW_TASK_PROMPT, judge_prompt, meta_prompt
from selfreward.tasks.sandbox.seeds.floors import Estimate, estimate_with_interval, unmet_floors
from selfreward.tasks.sandbox.seeds.sampling import LONGEST_ANSWER, LONGEST_JUDGMENT, LONGEST_META, sample_replies
from selfreward.tasks.sandbox.tasks import Task, parse_task

_ANSWER_TEMPERATURE, _JUDGE_TEMPERATURE, _META_TEMPERATURE = 0.8, 0.8, 0.5
SKILL_PROMPTS = 300
_BEST_OF = 6
_JUDGMENTS = 3


class JudgedOwn(NamedTuple):
    """One distinct reply of the model, with its judgments: one greedy, `_JUDGMENTS` sampled."""

    task: Task
    response: str
    truth: int
    greedy: str
    sampled: list[str]


def probe(model: LlamaForCausalLM, size: int = 96) -> dict[str, float]:
    """A quick look during training: greedy accuracy, and exactness of greedy judgments of demonstrations."""
    tasks = prompt_pool("gate", size)
    judged = judge_pool(size, "gate")
    answers = sample_replies(model, [task.text for task in tasks], longest=LONGEST_ANSWER, seed=0)
    questions = [judge_prompt(item.task.text, item.response) for item in judged]
    judgments = sample_replies(model, questions, longest=LONGEST_JUDGMENT, seed=0)
    right = [oracle_score(task, given) == FULL_SCORE for task, (given,) in zip(tasks, answers, strict=True)]
    exact = [read_score(given) == item.score for item, (given,) in zip(judged, judgments, strict=True)]
    return {"accuracy": sum(right) / size, "judge_exact": sum(exact) / size}


def measure_skill(model_dir: Path, prompts: int = SKILL_PROMPTS) -> dict[str, Any]:
    """Everything a seed must be able to do, on the report split.

    Returns `estimates` (name -> value, low, high, n, prompts), `families` (sampled accuracy of each) and `missed`,
    the floors that are not met.
    """
    model = LlamaForCausalLM.from_pretrained(model_dir)
    tasks = prompt_pool("report", prompts)
    texts = [task.text for task in tasks]
    sampled = sample_replies(
        model, texts, longest=LONGEST_ANSWER, seed=1, samples=_BEST_OF, temperature=_ANSWER_TEMPERATURE
    )
    greedy = sample_replies(model, texts, longest=LONGEST_ANSWER, seed=1)
    right = [[_is_right(task, reply) for reply in replies] for task, replies in zip(tasks, sampled, strict=True)]
    own = _judge_own(model, tasks[: prompts // 2], sampled)
    new = sample_replies(model, [NEW_TASK_PROMPT], longest=LONGEST_ANSWER, seed=2, samples=prompts, temperature=1.0)[0]
    estimates = {
        "sampled_accuracy": estimate_with_interval(right, fmean),
        "greedy_accuracy": estimate_with_interval(
            [[_is_right(task, reply)] for task, (reply,) in zip(tasks, greedy, strict=True)], fmean
        ),
        "best_of_minus_sampled": estimate_with_interval([[max(each) - fmean(each)] for each in right], fmean),
        "new_task_valid": estimate_with_interval([[float(parse_task(text) is not None)] for text in new], fmean),
        "new_task_distinct": estimate_with_interval(
            [[float(new.index(text) == at)] for at, text in enumerate(new)], fmean
        ),
        **_judge_estimates(own),
        **_fixed_judge_estimates(model, min(JUDGE_POOL_SIZE, prompts + prompts // 2)),
        **_meta_estimates(model, own),
    }
    by_family: dict[str, list[float]] = {}
    for task, each in zip(tasks, right, strict=True):
        by_family.setdefault(task.family, []).extend(each)
    skill: dict[str, Any] = {"estimates": {name: asdict(estimate) for name, estimate in estimates.items()}}
    skill["families"] = {family: fmean(values) for family, values in sorted(by_family.items())}
    skill["missed"] = unmet_floors(skill)
    return skill


def _is_right(task: Task, reply: str) -> float:
    return float(oracle_score(task, reply) == FULL_SCORE)


def _judge_own(
    model: LlamaForCausalLM, tasks: Sequence[Task], replies: Sequence[Sequence[str]]
) -> list[list[JudgedOwn]]:
    """The judged distinct replies to every task."""
    pairs = [(task, reply) for task, given in zip(tasks, replies, strict=False) for reply in dict.fromkeys(given)]
    questions = [judge_prompt(task.text, reply) for task, reply in pairs]
    greedy = sample_replies(model, questions, longest=LONGEST_JUDGMENT, seed=3)
    sampled = sample_replies(
        model, questions, longest=LONGEST_JUDGMENT, seed=3, samples=_JUDGMENTS, temperature=_JUDGE_TEMPERATURE
    )
    by_task: dict[str, list[JudgedOwn]] = {}
    for (task, reply), (mode,), draws in zip(pairs, greedy, sampled, strict=True):
        by_task.setdefault(task.text, []).append(JudgedOwn(task, reply, oracle_score(task, reply), mode, draws))
    return list(by_task.values())


def _judge_estimates(own: list[list[JudgedOwn]]) -> dict[str, Estimate]:
    def exact(item: JudgedOwn, judgment: str) -> float:
        return float(read_score(judgment) == item.truth)

    scored = [[(score, item.truth) for item in items if (score := _mean_score(item)) is not None] for items in own]
    sampled = [[exact(item, judgment) for item in items for judgment in item.sampled] for items in own]
    ahead = [
        [exact(item, item.greedy) - fmean(exact(item, each) for each in item.sampled) for item in items]
        for items in own
    ]
    return {
        "judge_own_rho": estimate_with_interval(scored, _rank_correlation),
        "judge_own_pairwise": estimate_with_interval([_pair_outcomes(items) for items in scored], fmean),
        "judge_own_exact": estimate_with_interval(sampled, fmean),
        "judge_greedy_minus_sampled": estimate_with_interval(ahead, fmean),
    }


def _fixed_judge_estimates(model: LlamaForCausalLM, size: int) -> dict[str, Estimate]:
    """The judge on the frozen pool of demonstrations: comparable between models."""
    pool = judge_pool(size)
    judgments = sample_replies(
        model,
        [judge_prompt(item.task.text, item.response) for item in pool],
        longest=LONGEST_JUDGMENT,
        seed=4,
        samples=_JUDGMENTS,
        temperature=_JUDGE_TEMPERATURE,
    )
    scored: dict[str, list[tuple[float, int]]] = {}
    exact: dict[str, list[float]] = {}
    for item, given in zip(pool, judgments, strict=True):
        scores = [score for text in given if (score := read_score(text)) is not None]
        exact.setdefault(item.task.text, []).extend(float(read_score(text) == item.score) for text in given)
        if scores:
            scored.setdefault(item.task.text, []).append((fmean(scores), item.score))
    return {
        "judge_fixed_rho": estimate_with_interval(list(scored.values()), _rank_correlation),
        "judge_fixed_exact": estimate_with_interval(list(exact.values()), fmean),
    }


def _meta_estimates(model: LlamaForCausalLM, own: list[list[JudgedOwn]]) -> dict[str, Estimate]:
    """The meta-judge on pairs of the model's own judgments with different scores, each asked in both orders."""
    battles: list[tuple[int, bool]] = []  # prompt, whether the first judgment is the better one
    questions: list[str] = []
    for prompt, items in enumerate(own):
        for item in items:
            readable = [text for text in dict.fromkeys(item.sampled) if read_score(text) is not None]
            for first, second in combinations(readable, 2):
                better, worse = (judgment_quality(item.task, item.response, text) for text in (first, second))
                if read_score(first) == read_score(second) or better == worse:
                    continue
                battles.append((prompt, better > worse))
                questions.append(meta_prompt(item.task.text, item.response, first, second))
                questions.append(meta_prompt(item.task.text, item.response, second, first))
    replies = sample_replies(model, questions, longest=LONGEST_META, seed=5, samples=1, temperature=_META_TEMPERATURE)
    verdicts = [read_verdict(reply) for (reply,) in replies]
    decided: dict[int, list[float]] = {}
    slot_a: dict[int, list[float]] = {}
    agreed: dict[int, list[float]] = {}
    kept: dict[int, list[float]] = {}
    for at, (prompt, first_better) in enumerate(battles):
        forward, backward = verdicts[2 * at], verdicts[2 * at + 1]
        for verdict, truth in ((forward, "A" if first_better else "B"), (backward, "B" if first_better else "A")):
            if verdict in ("A", "B"):
                decided.setdefault(prompt, []).append(float(verdict == truth))
                slot_a.setdefault(prompt, []).append(float(verdict == "A"))
        both = {forward, backward} == {"A", "B"}
        kept.setdefault(prompt, []).append(float(both))
        if both:
            agreed.setdefault(prompt, []).append(float((forward == "A") == first_better))
    return {
        "meta_own_accuracy": estimate_with_interval(list(decided.values()), fmean),
        "meta_own_slot_a": estimate_with_interval(list(slot_a.values()), fmean),
        "meta_own_agreed_accuracy": estimate_with_interval(list(agreed.values()), fmean),
        "meta_own_agreed_share": estimate_with_interval(list(kept.values()), fmean),
    }


def _mean_score(item: JudgedOwn) -> float | None:
    scores = [score for text in item.sampled if (score := read_score(text)) is not None]
    return fmean(scores) if scores else None


def _pair_outcomes(scored: Sequence[tuple[float, int]]) -> list[float]:
    """For all pairs of replies to one prompt that differ in truth: 1 judged rightly, 0 wrongly, one half a tie."""
    outcomes = []
    for (score, truth), (other_score, other_truth) in combinations(scored, 2):
        if truth != other_truth:
            product = (score - other_score) * (truth - other_truth)
            outcomes.append(0.5 if product == 0 else float(product > 0))
    return outcomes


def _rank_correlation(scored: Sequence[tuple[float, int]]) -> float:
    judged, true = zip(*scored, strict=True)
    return float(spearmanr(judged, true).statistic) if len(set(judged)) > 1 and len(set(true)) > 1 else 0.0
