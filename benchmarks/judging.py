"""Every question that a judge can be asked, against additive scoring at equal tokens, where the truth is known.

    python benchmarks/judging.py [--model sandbox:seed-0+questions=0.6] [--count 150] [--out results/tables/judging.md]

About 3 minutes of one core. The judge is the sandbox's seed that was taught all of these questions; what is judged are
the demonstrations of its frozen pool, three to a prompt, none of which it was trained on. A row is one judge of
`selfreward judge-bench`; beside it stands additive scoring with as many readings of each answer as cost the same tokens
(questions and replies) or just more, so that what is left over favours additive scoring. The difference is that of
pairwise accuracy over all two answers to one prompt whose truth differs; an answer without a readable verdict makes its
comparisons a half. Intervals are 95 % ones, clustered by prompt.
"""

import argparse
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from selfreward.commands.judge_bench.bench import Result, bench
from selfreward.commands.probe.models import Subject, subject
from selfreward.measuring.stats.clustered import Estimate, cluster_means, clustered_share, paired_difference
from selfreward.progress import Progress
from selfreward.report.html import markdown_table
from selfreward.report.tables import Table, number_text
from selfreward.store.view import RunView
from selfreward.tasks.sandbox.pools import judge_pool
from selfreward.tasks.sandbox.questions import STEP_MARK, checklist, finding, step_is_right, steps_of
from selfreward.tasks.sandbox.tasks import Task

Section = Mapping[str, Any]
MODEL = "sandbox:seed-0+questions=0.6"
ADDITIVE = "additive score, 1 reading"
SETTINGS = ("prompts.source.checklists=true", "measure.frozen=450", "engine.threads=1")


def reading(kind: str, tokens: int) -> Section:
    return {"kind": kind, "sampling": {"max_tokens": tokens, "temperature": 0.8, "top_p": 1.0}}


def question(kind: str, template: str, **keys: Any) -> Section:
    return {"kind": kind, "template": template, **keys}


def judges() -> dict[str, Section]:
    """Sections `judge` of a recipe, by name."""
    score, steps = question("score", "sandbox"), question("steps", "sandbox", mark=STEP_MARK)
    pair, rubric = question("comparison", "sandbox"), question("rubric", "sandbox_rubric")
    lists = question("list", "sandbox", orders=1)
    right, shorter = (
        question("principle", "sandbox_by_principle", constitution=f"sandbox_{name}") for name in ("right", "shorter")
    )
    return {
        ADDITIVE: {"question": score, "reading": reading("verdict", 40), "aggregate": additive(1)},
        "expected score after a rationale": {
            "question": score,
            "reading": reading("rationale", 40),
            "aggregate": additive(1),
        },
        "comparison, verdicts": {"question": pair, "reading": reading("verdict", 80)},
        "comparison, probability after a rationale": {"question": pair, "reading": reading("rationale", 80)},
        "list": {"question": lists, "reading": reading("verdict", 110)},
        "principle: right answer": {"question": right, "reading": reading("verdict", 80)},
        "principle: shorter (a null)": {"question": shorter, "reading": reading("verdict", 80)},
        "rubric: the prompt's checklist": {
            "question": rubric,
            "reading": reading("verdict", 60),
            "aggregate": additive(1),
        },
        "steps, verdicts, worst": {"question": steps, "reading": reading("verdict", 32)},
        "steps, probability, product": {
            "question": {**steps, "combine": "product"},
            "reading": reading("rationale", 32),
        },
    }


def additive(readings: int) -> Section:
    return {"kind": "mean", "samples": readings}


def asked(sections: Mapping[str, Section], model: Subject, count: int) -> list[Result]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "judges.yaml"
        path.write_text(yaml.safe_dump(dict(sections), sort_keys=False), encoding="utf-8")
        return bench(["sandbox"], [str(path)], model, _no_run, Progress(style="silent"), count=count, again=False)


def _no_run(name: str) -> RunView:
    raise AssertionError(f"no pool here is of the run {name!r}")


def readings_for(tokens: float, one: Result) -> int:
    """Additive readings of an answer that cost at least `tokens`: its question is read once, whatever their number."""
    question, reply = one.question_tokens / one.answers, one.reply_tokens / one.answers
    return max(1, math.ceil((tokens - question) / reply - 1e-9))


def difference(one: Result, other: Result) -> Estimate:
    """Of pairwise accuracy, on the same two answers each; what one of them could not read is a half there."""
    pairs = sorted(one.outcomes.keys() | other.outcomes.keys())
    sides = [
        cluster_means([side.outcomes.get(pair, 0.5) for pair in pairs], [prompt for prompt, _, _ in pairs])
        for side in (one, other)
    ]
    return paired_difference(sides[0], sides[1])


def table(found: Sequence[Result], baselines: Mapping[int, Result], model: str) -> Table:
    first = found[0]
    rows = []
    for one in found:
        again = baselines[readings_for(one.tokens_each, first)]
        gap = difference(one, again)
        rows.append(
            [
                one.judge,
                _text(one.estimates["accuracy"]),
                _text(one.estimates["spearman"]),
                f"{one.tokens_each:,.0f}",
                f"{one.unreadable} of {one.verdicts}",
                f"{readings_for(one.tokens_each, first)} ({again.tokens_each:,.0f})",
                _text(again.estimates["accuracy"]),
                "–" if one is first else _text(gap),
            ]
        )
    header = ["judge", "pairwise accuracy", "Spearman", "tokens", "unreadable", "readings (tokens)", "additive", "gap"]
    return Table(f"{model}: {first.answers} answers to {first.prompts} prompts", header, rows)


def ceiling(count: int, worth: Callable[[Task, str], float]) -> Estimate:
    """Pairwise accuracy of a judge that says without error what `worth` says, on the same answers; ties half."""
    pool = judge_pool(3 * count)
    right, prompts = [], []
    for at in range(0, len(pool), 3):
        for one, other in combinations(dict.fromkeys(pool[at : at + 3]), 2):
            said = worth(one.task, one.response) - worth(other.task, other.response)
            if one.score != other.score:
                right.append(0.5 if said == 0 else float((said > 0) == (one.score > other.score)))
                prompts.append(one.task.text)
    return clustered_share(right, prompts)


def by_checklist(task: Task, response: str) -> float:
    return fmean(finding(one, response)[1] for one in checklist(task))


def by_steps(task: Task, response: str) -> float:
    return min(step_is_right(task, response, number) for number in range(1, len(steps_of(response)) + 1))


def _text(one: Estimate) -> str:
    return "–" if one.value is None else f"{number_text(one.value, one.low, one.high)} n {one.n}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--count", type=int, default=150, help="prompts")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    model = subject(given.model, list(SETTINGS), _no_run)
    found = asked(judges(), model, given.count)
    wanted = sorted({readings_for(one.tokens_each, found[0]) for one in found} - {1})
    many = {
        f"additive score, {number} readings": judges()[ADDITIVE] | {"aggregate": additive(number)} for number in wanted
    }
    baselines = {1: found[0], **dict(zip(wanted, asked(many, model, given.count) if many else [], strict=True))}
    lines = ["# Judging beyond one score", "", *_said(given.model), ""]
    lines += [*markdown_table(table(found, baselines, given.model)), ""]
    best = {"checklist": by_checklist, "worst step": by_steps}
    told = [f"by the {name} {_text(ceiling(given.count, worth))}" for name, worth in best.items()]
    lines += [f"Pairwise accuracy of a judge without error: {', '.join(told)}."]
    text = "\n".join(lines) + "\n"
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")


def _said(model: str) -> list[str]:
    return [
        f"Made by `python benchmarks/judging.py --model {model} --out results/tables/judging.md`; the file says how.",
        "*additive* is additive scoring with as many readings as cost the same tokens or just more; *gap* the",
        "difference of pairwise accuracy on the same comparisons. n counts prompts. The checklist is written by who",
        "knows the right answer: its judge is told more than the others. The principle *shorter* says nothing of",
        "the truth: a judge that reads it is at chance here.",
    ]


if __name__ == "__main__":
    main()
