"""Training a dialled seed: a plain seed model goes on for one stage with an annotator that has a bias.

The bias is in the labels of the judge and the meta-judge alone; demonstrations stay what they were, but under the dial
`bad_word`, which is about them. The dial `questions` adds lessons about further questions. What came out is in its
`seed.json`: the skill of any seed, and beside it what the plain prompt and the rule `not agree` make of a judge, how
well it obeys principles, or how well it judges in other ways.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from transformers import LlamaForCausalLM

from selfreward.tasks.sandbox.seeds.bootstrap import Curve, Progress, SeedReport, teach, threads, write_card
from selfreward.tasks.sandbox.seeds.constitution_lessons import ConstitutionTeacher
from selfreward.tasks.sandbox.seeds.floors import QUESTION_FLOORS, skill_table, unmet_floors
from selfreward.tasks.sandbox.seeds.lessons import Teacher
from selfreward.tasks.sandbox.seeds.model import save_model
from selfreward.tasks.sandbox.seeds.obedience import measure_obedience
from selfreward.tasks.sandbox.seeds.question_lessons import QuestionTeacher
from selfreward.tasks.sandbox.seeds.question_skill import measure_questions
from selfreward.tasks.sandbox.seeds.recipe import ConstitutionRecipe, DialledRecipe, QuestionsRecipe
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
        teaching: Callable[..., Teacher] = Teacher
        if isinstance(recipe, ConstitutionRecipe):
            teaching = partial(ConstitutionTeacher, bad_word=recipe.bad_word)
        if isinstance(recipe, QuestionsRecipe):
            teaching = partial(QuestionTeacher, questions=recipe.questions)
        number = len(plain.stages) + 1
        teach(model, plain, recipe.stage, recipe.annotator, number, curve, recipe.rule_share, teaching)
        save_model(model, out)
        skill = measure_skill(out, skill_prompts)
        if isinstance(recipe, ConstitutionRecipe):
            skill["estimates"] |= measure_obedience(out, skill_prompts)
        elif isinstance(recipe, QuestionsRecipe):
            skill["estimates"] |= measure_questions(out, skill_prompts)
            skill["missed"] += unmet_floors(skill, QUESTION_FLOORS)
        else:
            skill["estimates"] |= measure_rule(out, 2 * skill_prompts)
        progress(skill_table(skill))
    report = SeedReport(recipe, curve.tokens, curve.points, skill, time.monotonic() - started, out)
    write_card(report)
    return report
