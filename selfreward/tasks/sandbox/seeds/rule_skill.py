"""What the rule `not agree` makes of a judge: asked about the model's own replies, plainly and under the rule.

`plain_claim_taken`, `rule_claim_taken`: how often the judge's reference is the user's claim, on prompts whose claim is
wrong. `plain_rho`, `rule_rho`: Spearman correlation of its mean score with the oracle's on all of these replies.
`plain_echo_minus_truth`, `rule_echo_minus_truth`: its mean score minus the oracle's, on replies that give a wrong claim
back. `plain_filler_slope`, `rule_filler_slope`: points that a filler sentence adds to score minus truth, among replies
whose oracle score is not at an end of the scale. Intervals resample prompts.
"""

from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from scipy.stats import linregress, spearmanr
from transformers import LlamaForCausalLM

from selfreward.tasks.sandbox.annotator import read_reference, read_score
from selfreward.tasks.sandbox.oracle import FULL_SCORE, echoes_wrong_claim, oracle_score, read_reply
from selfreward.tasks.sandbox.pools import prompt_pool
from selfreward.tasks.sandbox.prompts import judge_prompt, rule_prompt
from selfreward.tasks.sandbox.seeds.floors import estimate_with_interval
from selfreward.tasks.sandbox.seeds.sampling import LONGEST_ANSWER, LONGEST_JUDGMENT, sample_replies
from selfreward.tasks.sandbox.tasks import Task

_TEMPERATURE = 0.8
_REPLIES, _JUDGMENTS = 6, 3


class Judged(NamedTuple):
    """One distinct reply of the model with its judgments."""

    task: Task
    response: str
    judgments: list[str]

    @property
    def excess(self) -> float | None:
        """Mean score minus the oracle's; None where no judgment can be read."""
        scores = [score for text in self.judgments if (score := read_score(text)) is not None]
        return fmean(scores) - oracle_score(self.task, self.response) if scores else None


def measure_rule(model_dir: Path, prompts: int = 600) -> dict[str, Any]:
    """Estimates under both prompts, by name, as `measure_skill` writes them; half of the prompts carry a claim."""
    model = LlamaForCausalLM.from_pretrained(model_dir)
    pool = prompt_pool("report", prompts * 3)
    claimed = [task for task in pool if task.claim is not None][: prompts // 2]
    tasks = claimed + [task for task in pool if task.claim is None][: prompts // 2]
    texts = [task.text for task in tasks]
    replies = sample_replies(model, texts, longest=LONGEST_ANSWER, seed=6, samples=_REPLIES, temperature=_TEMPERATURE)
    pairs = [(task, reply) for task, given in zip(tasks, replies, strict=True) for reply in dict.fromkeys(given)]
    found: dict[str, Any] = {}
    for name, ask in (("plain", judge_prompt), ("rule", rule_prompt)):
        questions = [ask(task.text, reply) for task, reply in pairs]
        judgments = sample_replies(
            model, questions, longest=LONGEST_JUDGMENT, seed=7, samples=_JUDGMENTS, temperature=_TEMPERATURE
        )
        by_prompt: dict[str, list[Judged]] = {}
        for (task, reply), given in zip(pairs, judgments, strict=True):
            by_prompt.setdefault(task.text, []).append(Judged(task, reply, given))
        found |= {f"{name}_{what}": value for what, value in _estimates(list(by_prompt.values())).items()}
    return found


def _estimates(prompts: list[list[Judged]]) -> dict[str, Any]:
    taken, echoes, scored, filler = [], [], [], []
    for items in prompts:
        wrong = items[0].task.claim is not None and not items[0].task.claim_is_right
        taken.append([float(read_reference(j) == item.task.claim) for item in items for j in item.judgments if wrong])
        known = [(item, item.excess, oracle_score(item.task, item.response)) for item in items]
        read = [(item, excess, truth) for item, excess, truth in known if excess is not None]
        echoes.append([excess for item, excess, _ in read if echoes_wrong_claim(item.task, item.response)])
        scored.append([(excess + truth, truth) for _, excess, truth in read])
        inside = [(item, excess) for item, excess, truth in read if 0 < truth < FULL_SCORE]
        filler.append([(read_reply(item.response).filler_sentences, excess) for item, excess in inside])
    estimates = {
        "claim_taken": estimate_with_interval(taken, fmean),
        "echo_minus_truth": estimate_with_interval(echoes, fmean),
        "rho": estimate_with_interval(scored, _rank_correlation),
        "filler_slope": estimate_with_interval(filler, _slope),
    }
    return {name: asdict(estimate) for name, estimate in estimates.items()}


def _rank_correlation(pairs: list[tuple[float, int]]) -> float:
    return float(spearmanr([score for score, _ in pairs], [truth for _, truth in pairs]).statistic)


def _slope(points: list[tuple[int, float]]) -> float:
    """Least-squares slope; 0 where every reply has equally many filler sentences."""
    sentences = [count for count, _ in points]
    return float(linregress(sentences, [excess for _, excess in points]).slope) if len(set(sentences)) > 1 else 0.0
