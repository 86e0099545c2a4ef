"""Training a dialled seed: a plain seed model goes on for one stage with an annotator that has a bias.

The bias is in the labels of the judge and the meta-judge alone; demonstrations stay what they were. What came out is
in its `seed.json`: the skill of any seed, and beside it what the plain prompt and the rule `not agree` make of a judge.
"""

import time
from pathlib import Path

from transformers import LlamaForCausalLM

from selfreward.tasks.sandbox.seeds.bootstrap import Curve, Progress, SeedReport, teach, threads, write_card
from selfreward.tasks.sandbox.seeds.floors import skill_table
from selfreward.tasks.sandbox.seeds.model import save_model
from selfreward.tasks.sandbox.seeds.recipe import DialledRecipe
from selfreward.tasks.sandbox.seeds.rule_skill import measure_rule
from selfreward.tasks.sandbox.seeds.skill import SKILL_PROMPTS, measure_skill


def train_dialled(
    recipe: DialledRecipe, start: Path, out: Path, *, progress: Progress, skill_prompts: int = SKILL_PROMPTS
) -> SeedReport:
    """Train the model in `start`, which is a plain seed made by `recipe.start`, on CPU and write it to `out`."""
    started = time.monotonic()
    plain = recipe.start
    with threads(plain.threads):
        model = LlamaForCausalLM.from_pretrained(start)
        curve = Curve(plain.probe_every, progress)
        teach(model, plain, recipe.stage, recipe.annotator, len(plain.stages) + 1, curve, recipe.rule_share)
        save_model(model, out)
        skill = measure_skill(out, skill_prompts)
        skill["estimates"] |= measure_rule(out, 2 * skill_prompts)
        progress(skill_table(skill))
    report = SeedReport(recipe, curve.tokens, curve.points, skill, time.monotonic() - started, out)
    write_card(report)
    return report
