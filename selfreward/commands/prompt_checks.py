"""Are the prompts fit to be trained and measured on? Overlap, cohorts, and what a verifier or pair rule needs."""

from collections.abc import Sequence

from selfreward.errors import DataError, RecipeError
from selfreward.judging.prompts.exemplars import read_exemplars
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.measuring.probes.questions import questions_of
from selfreward.pairing.answers import rule_of
from selfreward.recipe import (
    ClaimsQuestion,
    PolicyGradient,
    Recipe,
    RubricQuestion,
    ScoreQuestion,
    SftRecipe,
    asked_per_round,
    cohort_judge,
    held_out_judge,
)
from selfreward.records import Prompt
from selfreward.tasks.cohorts import read_cohorts, refuse_overlap
from selfreward.tasks.examples_file import draw_examples
from selfreward.tasks.filters import assert_disjoint
from selfreward.tasks.pairs_file import read_pairs
from selfreward.tasks.source import Source, by_pool
from selfreward.tasks.verifiers.protocol import Verifier

FOR_JUDGES = {"rubric", "material"}
"""What of a row's `meta` is for a judge or a debater, and tells a verifier nothing."""


def check_questions(recipe: Recipe, source: Source, training: Sequence[Prompt]) -> None:
    """Refuse prompts that lack what a judge's question needs: criteria, where the recipe has no rubric, or a context.

    And prompts that a judge is shown judged: an exemplar's may be in no pool, and none that is trained on.
    """
    held_out = recipe.measure.held_out
    judges = [recipe.judge, *([held_out_judge(recipe, held_out)] if held_out else [])]
    for judge in judges:
        if isinstance(judge.question, ScoreQuestion) and judge.question.examples is not None:
            _refuse_shown(judge.question.examples, recipe, source, training)
    _check_cohort_questions(recipe)
    judges = [judge for judge in judges if isinstance(judge.question, RubricQuestion | ClaimsQuestion)]
    if not judges:
        return
    asked = [*training, *source.pools(), *(row.prompt for row in source.frozen())]
    questions = recipe.measure.cohorts
    judged = [one for one in read_cohorts(recipe.measure) if one.verifier == "none"]
    asked += [prompt for one in judged if questions[one.name].question is None for prompt in one.prompts]
    for judge in judges:
        wording = judge_prompt(judge)
        for prompt in asked:
            wording.require(prompt)
        if isinstance(judge.question, ClaimsQuestion):
            _refuse_rowless(recipe, "meta.context", "another judge.question")
        elif isinstance(judge.question, RubricQuestion) and judge.question.rubric is None:
            _refuse_rowless(recipe, "meta.rubric", "judge.question.rubric")


def _check_cohort_questions(recipe: Recipe) -> None:
    """Each cohort with a question of its own: the words exist, and every row has what they need."""
    for cohort in read_cohorts(recipe.measure):
        if recipe.measure.cohorts[cohort.name].question is None:
            continue
        if cohort.verifier != "none":
            raise RecipeError(
                f"key 'measure.cohorts.{cohort.name}.question' is not read: its verifier {cohort.verifier} grades it; "
                f"remove it, or set measure.cohorts.{cohort.name}.verifier=none"
            )
        wording = judge_prompt(cohort_judge(recipe.measure, recipe.judge, cohort.name))
        for prompt in cohort.prompts:
            wording.require(prompt)


def _refuse_shown(file: str, recipe: Recipe, source: Source, training: Sequence[Prompt]) -> None:
    shown = [one.prompt for one in read_exemplars(file)]
    trained = {prompt.messages for prompt in training}
    for one in read_exemplars(file):
        if one.prompt.messages in trained:
            raise DataError(f"{one.where}: its prompt is trained on, and a judge must not be shown it; take another")
    pools = by_pool([*source.pools(), *(row.prompt for row in source.frozen())])
    assert_disjoint(shown, pools, run=source.overlap_words, max_overlap=recipe.measure.max_overlap)


def _refuse_rowless(recipe: Recipe, lacking: str, instead: str) -> None:
    """Refuse what a judge would be asked that comes from no row, and so has no criteria or context."""
    probes = recipe.measure.judge_probes
    for key, there in {
        "prompts.writer.share": recipe.prompts.writer.share > 0,
        "measure.judge_probes.claims": bool(probes.claims and probes.claims_file),
    }.items():
        if there:
            raise RecipeError(f"key {key!r} makes prompts that have no {lacking}; set it to 0, or {instead} for them")


def check_pools(recipe: Recipe, source: Source, training: Sequence[Prompt]) -> None:
    """Refuse evaluation prompts among the training prompts, and a training pool that is too small."""
    anchored = [row.prompt for row in source.frozen()] if recipe.measure.anchors else []
    reported = {prompt.messages: prompt.pool for prompt in source.pools() if prompt.pool != "gate"}
    for prompt in anchored:
        if prompt.pool == "frozen" and prompt.messages in reported:
            raise DataError(
                f"{recipe.measure.anchors}: the prompt {prompt.text[:40]!r}... is of the {reported[prompt.messages]} "
                "pool, which never steers, and its row is not locked; set 'locked' to true or remove the row"
            )
    assert_disjoint(
        training,
        by_pool([*source.pools(), *anchored]),
        run=source.overlap_words,
        max_overlap=recipe.measure.max_overlap,
    )


def check_side(recipe: Recipe, source: Source, training: Sequence[Prompt]) -> None:
    """Refuse probes without a question, cohorts that cannot be graded, and those whose prompts are trained on."""
    questions_of(recipe, source.pools())
    if not recipe.measure.cohorts:
        return
    external = [pair.prompt for pair in read_pairs(recipe.pairs.mix.external)] if recipe.pairs.mix.external else []
    cohorts = read_cohorts(recipe.measure)
    refuse_overlap(cohorts, [*external, *training], source.overlap_words, recipe.measure.max_overlap)
    judged = [cohort.name for cohort in cohorts if cohort.verifier == "none"]
    judged = [name for name in judged if recipe.measure.cohorts[name].question is None]
    if judged and recipe.judge.ranks:
        raise RecipeError(
            f"cohort {judged[0]!r} has no verifier, but judge.question={recipe.judge.question.kind} only ranks the "
            f"answers to one prompt, which cannot be compared between rounds; set its verifier or its question in "
            f"measure.cohorts.{judged[0]}"
        )


def check_truth(recipe: Recipe, source: Source, verifier: Verifier | None, training: Sequence[Prompt]) -> None:
    """Refuse prompts that the verifier cannot check or that lack a gold answer, and external pairs that cannot be used.

    Where the judge takes what the verifier leaves open, a prompt that brings nothing to verify is one of these.
    """
    if verifier is not None:
        lenient = recipe.judge.source == "verifier_then_model"
        for prompt in [*source.pools(), *training]:
            if not (lenient and prompt.answer is None and not prompt.meta.keys() - FOR_JUDGES):
                verifier.require(prompt)
    if isinstance(recipe.train, PolicyGradient):
        return  # rewards instead of pairs
    needs = rule_of(recipe.pairs).needs
    unscored = recipe.judge.source == "none" and recipe.pairs.implicit is None
    if needs == "scores" and unscored and asked_per_round(recipe):
        raise RecipeError(f"judge.source=none leaves pairs.rule={recipe.pairs.rule} without the scores that it needs")
    if needs == "gold":
        gold = source.gold(training)
        missing = [prompt for prompt in training if prompt.id not in gold]
        if missing:
            raise DataError(
                f"prompt {missing[0].id} ({missing[0].text[:40]!r}...) and {len(missing) - 1} more have no 'answer'; "
                f"pairs.rule={recipe.pairs.rule} needs the gold answer of every training prompt on its row"
            )
    if isinstance(recipe.train, SftRecipe) and recipe.train.examples:
        shown = [
            prompt for prompt, _ in draw_examples(recipe.train.examples, recipe.seed, 1, recipe.train.sft_examples)
        ]
        assert_disjoint(
            shown, by_pool(source.pools()), run=source.overlap_words, max_overlap=recipe.measure.max_overlap
        )
    if recipe.pairs.mix.external:
        pairs = read_pairs(recipe.pairs.mix.external)
        need = recipe.rounds * recipe.prompts.per_round
        if recipe.pairs.mix.alone and len(pairs) < need:
            raise DataError(
                f"{recipe.pairs.mix.external}: {len(pairs)} pairs; expected at least rounds x prompts.per_round = "
                f"{need}, so that every round has fresh ones; lower prompts.per_round or rounds, or add pairs"
            )
        external = {pair.prompt.id: pair.prompt for pair in pairs}
        assert_disjoint(
            list(external.values()),
            by_pool(source.pools()),
            run=source.overlap_words,
            max_overlap=recipe.measure.max_overlap,
        )
