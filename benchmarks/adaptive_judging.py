"""Adaptive against uniform N at equal numbers of judgments, on the sandbox's judge: whose pairs are further apart?

    python benchmarks/adaptive_judging.py [--prompts 300] [--runs 8] [--literal] [--models sandbox:seed-0 ...]

About 2 minutes a seed model on one thread.

For every seed model and run seed: K answers to fresh prompts, 11 judgments of each distinct answer. Adaptive and
uniform judging then draw from the same table, in `--orders` random orders of it, and each picks best and worst. The
uniform side gets N judgments of every answer and N + 1 on as many prompts as the budget holds, never fewer in all than
the adaptive side used. The gap is the oracle's, 0 where no pair is made. Figures are means over prompts and orders,
the interval over seed models and prompts; run seeds bring prompts of their own. The defaults of `tolerance` and
`own_noise` were chosen on run seeds 0 and 1, so the run seeds here begin at 100.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from selfreward.commands.preflight_models import model_directory
from selfreward.engines import build_engine
from selfreward.engines.protocol import Engine, Request
from selfreward.engines.tensors import weights_digest
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.scoring.adaptive import estimate, next_questions, shrunken
from selfreward.measuring.stats.clustered import clustered_mean
from selfreward.measuring.stats.nested_difference import nested_paired_difference
from selfreward.recipe import AdaptiveRecipe, GenerateRecipe, JudgeRecipe, ModelRecipe, TransformersRecipe
from selfreward.records import Judgment, Message, Prompt, seed_for, stable_id
from selfreward.roles.unreadable import Unreadable
from selfreward.tasks.sandbox.oracle import oracle_score
from selfreward.tasks.sandbox.pools import prompt_pool

MODELS = ("sandbox:seed-0", "sandbox:seed-1", "sandbox:seed-2")


@dataclass(frozen=True)
class Table:
    """Of one model and run seed: by prompt, by answer, its judgments (None: unreadable) and its true quality."""

    verdicts: Mapping[str, Mapping[str, Sequence[float | None]]]
    truth: Mapping[str, float]


def build_table(engine: Engine, prompts: int, samples: int, cap: int, seed: int) -> Table:
    tasks = prompt_pool("train", prompts, seed=seed_for("adaptive benchmark", seed))
    generate, recipe = GenerateRecipe(), JudgeRecipe()
    asked = [
        Request(f"p{number}", (Message("user", task.text),), samples, generate.sampling.temperature, 1.0, 40, number)
        for number, task in enumerate(tasks)
    ]
    answers, truth = [], {}
    for request, task, replies in zip(asked, tasks, engine.generate(asked, seed_for(seed, "answers")), strict=True):
        for text in sorted({reply.text for reply in replies if reply.finish_reason == "stop"}):
            name = stable_id(request.id, text)
            answers.append((request.id, name, Prompt(request.id, request.messages, "train", "sandbox"), text))
            truth[name] = float(oracle_score(task, text))
    wording, sampling = judge_prompt(recipe), recipe.sampling
    prompts = {name: prompt for _, name, prompt, _ in answers}
    questions = [
        Request(name, wording.ask(prompt, text), cap, sampling.temperature, 1.0, sampling.max_tokens, 0)
        for _, name, prompt, text in answers
    ]
    verdicts: defaultdict[str, dict[str, list[float | None]]] = defaultdict(dict)
    for (prompt_id, name, _, _), replies in zip(
        answers, engine.generate(questions, seed_for(seed, "judgments")), strict=True
    ):
        read = [wording.read(prompts[name], reply) for reply in replies]
        verdicts[prompt_id][name] = [None if isinstance(verdict, Unreadable) else verdict for verdict in read]
    return Table(dict(verdicts), truth)


def row(prompt_id: str, name: str, sample: int, score: float | None) -> Judgment:
    reason = None if score is not None else "no verdict"
    return Judgment(f"{name}.{sample}", name, prompt_id, sample, "judge", "", (), "stop", 0, "sandbox", score, reason)


def rows_of(table: Table, counts: Mapping[str, int]) -> list[Judgment]:
    return [
        row(prompt_id, name, sample, score)
        for prompt_id, answers in table.verdicts.items()
        for name, scores in answers.items()
        for sample, score in enumerate(scores[: counts[name]])
    ]


def adaptive_counts(table: Table, recipe: AdaptiveRecipe) -> dict[str, int]:
    """How often each answer is judged, and by which rule: the product's own."""
    counts = {name: recipe.first for answers in table.verdicts.values() for name in answers}
    constants = estimate(rows_of(table, counts))
    for answers in table.verdicts.values():
        while True:
            readable = {
                name: [score for score in scores[: counts[name]] if score is not None]
                for name, scores in answers.items()
            }
            wanted = next_questions(readable, counts, constants, recipe)
            if not wanted:
                break
            for name in wanted:
                counts[name] += 1
    return counts


def uniform_counts(table: Table, budget: int, rng: random.Random) -> dict[str, int]:
    """N for all, and N + 1 on prompts drawn by lot until at least `budget` judgments are spent."""
    sizes = {prompt_id: len(answers) for prompt_id, answers in table.verdicts.items()}
    everybody, spare = divmod(budget, sum(sizes.values()))
    order = list(sizes)
    rng.shuffle(order)
    counts = {}
    for prompt_id in order:
        extra = spare > 0
        spare -= sizes[prompt_id] if extra else 0
        counts |= dict.fromkeys(table.verdicts[prompt_id], everybody + extra)
    return counts


def gaps(table: Table, scores: Mapping[str, float], rng: random.Random) -> dict[str, float]:
    """By prompt, true quality of the best less the worst by score; equals are decided by lot, a flat prompt gives 0."""
    found = {}
    for prompt_id, answers in table.verdicts.items():
        known = [(scores[name], rng.random(), name) for name in answers if name in scores]
        best, worst = max(known, default=None), min(known, default=None)
        paired = best is not None and worst is not None and best[0] > worst[0]
        found[prompt_id] = table.truth[best[2]] - table.truth[worst[2]] if paired else 0.0
    return found


def means(table: Table, counts: Mapping[str, int]) -> dict[str, float]:
    found = {}
    for answers in table.verdicts.values():
        for name, scores in answers.items():
            read = [score for score in scores[: counts[name]] if score is not None]
            if read:
                found[name] = fsum(read) / len(read)
    return found


def compare(table: Table, recipe: AdaptiveRecipe, orders: int, seed: int) -> dict[str, dict[str, float]]:
    """By prompt, averaged over `orders` orders of the table's columns."""
    sums: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    rng = random.Random(seed)
    for _ in range(orders):
        mixed = Table(
            {
                prompt_id: {name: rng.sample(list(scores), len(scores)) for name, scores in answers.items()}
                for prompt_id, answers in table.verdicts.items()
            },
            table.truth,
        )
        counts = adaptive_counts(mixed, recipe)
        rival = uniform_counts(mixed, sum(counts.values()), rng)
        full = dict.fromkeys(counts, recipe.cap)
        shrunk = {name: score.value for name, score in shrunken(rows_of(mixed, counts), recipe).items()}
        for prompt_id, answers in mixed.verdicts.items():
            sums[prompt_id]["judgments"] += sum(counts[name] for name in answers) / orders
            sums[prompt_id]["uniform judgments"] += sum(rival[name] for name in answers) / orders
            sums[prompt_id]["answers"] += len(answers) / orders
        for label, scores in (
            ("adaptive", shrunk),
            ("uniform", means(mixed, rival)),
            ("uniform at the cap", means(mixed, full)),
        ):
            for prompt_id, gap in gaps(mixed, scores, rng).items():
                sums[prompt_id][label] += gap / orders
    return {prompt_id: dict(values) for prompt_id, values in sums.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--orders", type=int, default=6)
    parser.add_argument("--literal", action="store_true", help="no tolerance, one pooled variance for all answers")
    parser.add_argument(
        "--models", nargs="+", default=MODELS, help="seed models; the defaults were tuned on the three that ship"
    )
    arguments = parser.parse_args()
    recipe = AdaptiveRecipe()
    if arguments.literal:
        recipe = AdaptiveRecipe(tolerance=0.0, own_noise=False)
    engine = build_engine(ModelRecipe(), TransformersRecipe())
    differences: dict[tuple[str, str, str], float] = {}
    kept: list[dict[str, float]] = []
    print(f"K = {arguments.samples}, cap {recipe.cap}, first {recipe.first}, z {recipe.z}; gaps in oracle points")
    print("model   run  sigma  prior sd  answers  judgments  of cap  gap adaptive  gap uniform  gap at cap")
    for path in arguments.models:
        directory, model = model_directory(path), path.rpartition(":")[2].rpartition("/")[2]
        engine.load(directory, weights_digest(directory))
        for run in range(100, 100 + arguments.runs):
            table = build_table(engine, arguments.prompts, arguments.samples, recipe.cap, run)
            pilot = {name: recipe.first for answers in table.verdicts.values() for name in answers}
            constants = estimate(rows_of(table, pilot))
            found = compare(table, recipe, arguments.orders, run)
            kept += found.values()
            for prompt_id, values in found.items():
                differences[model, str(run), f"{run} {prompt_id}"] = values["adaptive"] - values["uniform"]
            mean = {key: fsum(values[key] for values in found.values()) / len(found) for key in kept[0]}
            print(
                f"{model}  {run:3}  {constants.sigma:5.2f}  {constants.prior**0.5:8.2f}  {mean['answers']:7.2f}"
                f"  {mean['judgments']:9.1f}  {mean['judgments'] / (recipe.cap * mean['answers']):6.0%}"
                f"  {mean['adaptive']:12.3f}  {mean['uniform']:11.3f}  {mean['uniform at the cap']:10.3f}"
            )
    # A run's prompts are its own, so runs are set side by side as further prompts of the same seed model.
    joined = {(model, "all", prompt): value for (model, _, prompt), value in differences.items()}
    nested = nested_paired_difference(joined)
    estimate_, low, high = nested.estimate.value, nested.estimate.low, nested.estimate.high
    print(
        f"adaptive minus uniform at equal judgments: {estimate_:+.4f} [{low:+.4f}, {high:+.4f}] "
        f"({nested.models} seed models x {nested.prompts} prompts; interval over {nested.unit}; "
        f"smallest resolvable effect {nested.smallest_effect:.4f})"
    )
    by_run: defaultdict[str, list[float]] = defaultdict(list)
    for (model, run, _), value in differences.items():
        by_run[f"{model} {run}"].append(value)
    seeds = clustered_mean([fsum(values) / len(values) for values in by_run.values()], list(by_run))
    print(f"the same, over {seeds.n} model x run seeds: {seeds.value:+.4f} [{seeds.low:+.4f}, {seeds.high:+.4f}]")
    spent, rival = fsum(one["judgments"] for one in kept), fsum(one["uniform judgments"] for one in kept)
    print(f"judgments spent: adaptive {spent:.0f}, uniform {rival:.0f}")


if __name__ == "__main__":
    main()
