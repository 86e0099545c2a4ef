"""The judge of a recipe, whatever its axes: from answers to sealed judgments.

one answer, verdict       one artifact. With adaptive N: a first pass, then what is still open, and both together
one answer, probability   one artifact, from probabilities; rationale likewise, after a rationale
one answer, scalar        one artifact, from a reward model
two answers               comparisons, and one rating per answer made of them; before them speeches, where debated
ensemble                  one artifact per member, and all together; of members that compare, their comparisons
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from selfreward.engines.chat import load_renderer
from selfreward.engines.hugging_face.reward_model import RewardModel
from selfreward.judging.adaptive import first_pass, judge_further
from selfreward.judging.by_verifier import ask_oracle, ask_verifier, left_to_the_model, merge, passed
from selfreward.judging.debate import debate_statistics, hold_debates, judge_of_debates
from selfreward.judging.expected import judge_expected
from selfreward.judging.listwise import rank_answers, ranked
from selfreward.judging.pairwise import Question, compare_answers, questions, rated
from selfreward.judging.pointwise import judge_pointwise
from selfreward.judging.readable import require_readable
from selfreward.judging.scalar import judge_scalar
from selfreward.judging.scoring.lists import list_statistics
from selfreward.judging.scoring.steps import step_statistics
from selfreward.judging.scoring.tournament import as_facts, position_statistics
from selfreward.judging.stepwise import judge_steps, stepped
from selfreward.recipe import JudgeRecipe, Verified
from selfreward.records import Comparison, Judgment, Prompt, Response, Rows, by_id, distinct, seed_for
from selfreward.roles.cast import Cast
from selfreward.roles.player import Player
from selfreward.roles.round import Round
from selfreward.store.artifacts import COMPARISONS, FIRST, FURTHER, LISTS, MODEL_JUDGMENTS, SPEECHES, STEPS, part_of
from selfreward.store.given import given
from selfreward.store.run import Work
from selfreward.tasks.verifiers.protocol import Verifier, verifier_identity


def judge(round: Round, prompts: Rows[Prompt], responses: Rows[Response]) -> Rows[Judgment]:
    """Every distinct answer of the round is scored. Raises GateError when too few verdicts can be read."""
    recipe, verifier = round.recipe.judge, round.verifier
    wanted: Sequence[Response] = distinct(responses) if round.recipe.generate.deduplicate else responses
    inputs = {"prompts": prompts.digest, "responses": responses.digest, "judged": str(len(wanted))}
    if recipe.source == "none":
        return Rows([])
    if recipe.source == "oracle" and verifier is not None:
        return round.complete(ask_oracle(verifier, by_id(prompts), wanted, made_from=inputs, round=round.number))
    if recipe.verifier_first and verifier is not None:
        return _judge_after_verifier(round, verifier, prompts, wanted, inputs)
    judging = Judging(recipe, round.cast, round.complete, round.number, round.number)
    judgments = judging.judge(by_id(prompts), wanted, inputs)
    require_readable(judgments, round.recipe.gates.min_readable, round.number)
    return judgments


def _judge_after_verifier(
    round: Round, verifier: Verifier, prompts: Rows[Prompt], wanted: Sequence[Response], inputs: Mapping[str, str]
) -> Rows[Judgment]:
    """The verifier's verdicts, and the model's on what they leave open, or on what passed."""
    named, number = verifier_identity(round.recipe.measure.verifier, round.recipe.measure.code), round.number
    ranking = round.recipe.judge.source == "verifier_and_model"
    asking = ask_verifier(verifier, named, by_id(prompts), wanted, made_from=inputs, round=number, passing=ranking)
    verdicts = round.complete(asking)
    needs_failing = isinstance(round.recipe.pairs, Verified)
    asked = passed(verdicts, wanted, needs_failing) if ranking else left_to_the_model(verdicts, wanted)
    made_from = {**inputs, "verdicts": verdicts.digest}
    judging = Judging(round.recipe.judge, round.cast, round.complete, number, number)
    opinions = judging.judge(by_id(prompts), asked, made_from, MODEL_JUDGMENTS)
    if opinions:
        require_readable(opinions, round.recipe.gates.min_readable, number)
    merged = merge(verdicts, opinions)
    return round.complete(given(number, "judgments", Judgment, merged, {"opinions": opinions.digest, **made_from}))


@dataclass(frozen=True)
class Judging:
    """`complete` seals what is computed on the way. `playing` is the round whose start policy the roles refer to."""

    recipe: JudgeRecipe
    cast: Cast
    complete: Callable[[Work[Any, Any]], Rows[Any]]
    round: int
    playing: int

    def judge(
        self,
        prompts: Mapping[str, Prompt],
        responses: Sequence[Response],
        made_from: Mapping[str, str],
        artifact: str = "judgments",
    ) -> Rows[Judgment]:
        """Every response's judgments, in one sealed artifact."""
        recipe = self.recipe
        if not recipe.members or recipe.comparing is not None:
            return self._alone(recipe, prompts, responses, made_from, artifact)
        parts = [
            self._alone(recipe.member(member), prompts, responses, made_from, part_of(artifact, number))
            for number, member in enumerate(recipe.members)
        ]
        return self._together(parts, artifact, {"ensemble": "@".join(recipe.members)})

    def _alone(
        self,
        recipe: JudgeRecipe,
        prompts: Mapping[str, Prompt],
        responses: Sequence[Response],
        made_from: Mapping[str, str],
        artifact: str,
    ) -> Rows[Judgment]:
        asked: dict[str, Any] = {"made_from": made_from, "round": self.round}
        if recipe.protocol == "pairwise":
            return self._by_comparisons(prompts, responses, asked, artifact)
        player = self.cast.role(recipe.model, self.playing)
        if recipe.listing is not None:
            rankings = self.complete(
                rank_answers(player, prompts, responses, recipe, **asked, artifact=part_of(artifact, LISTS))
            )
            rows = ranked(rankings, responses, round=self.round, artifact=artifact)
            told = {"lists": rankings.digest, "places": list_statistics(rankings)}
            return self.complete(given(self.round, artifact, Judgment, rows, told))
        if recipe.stepping is not None:
            verdicts = self.complete(
                judge_steps(player, prompts, responses, recipe, **asked, artifact=part_of(artifact, STEPS))
            )
            rows = stepped(verdicts, responses, recipe, round=self.round, artifact=artifact)
            how = {"combine": recipe.stepping.combine, "statistics": step_statistics(verdicts)}
            return self.complete(given(self.round, artifact, Judgment, rows, {"steps": verdicts.digest, **how}))
        if recipe.protocol == "scalar":
            return self._by_reward_model(player, prompts, responses, asked, artifact)
        if recipe.protocol in ("expected", "hybrid"):
            return self.complete(judge_expected(player, prompts, responses, recipe, **asked, artifact=artifact))
        if recipe.adaptive is None:
            return self.complete(judge_pointwise(player, prompts, responses, recipe, **asked, artifact=artifact))
        first = self.complete(
            judge_pointwise(player, prompts, responses, first_pass(recipe), **asked, artifact=part_of(artifact, FIRST))
        )
        further = self.complete(
            judge_further(
                player, prompts, responses, first, recipe, round=self.round, artifact=part_of(artifact, FURTHER)
            )
        )
        return self._together([first, further], artifact, {"adaptive": "first and further"})

    def _by_comparisons(
        self, prompts: Mapping[str, Prompt], responses: Sequence[Response], asked: Mapping[str, Any], artifact: str
    ) -> Rows[Judgment]:
        """Comparisons by the judge, or by every member of an ensemble, and a rating of each answer made of them."""
        recipe, ensemble = self.recipe, self.recipe.ensemble
        if ensemble is None:
            comparisons, told = self._compared(recipe, prompts, responses, asked, artifact)
        else:
            every = part_of(artifact, COMPARISONS)
            if recipe.comparing is not None and recipe.comparing.comparisons != "all":
                asked = {**asked, "made_from": {**asked["made_from"], "drawn": every}}
            # One draw for all: a vote is of members that are asked about the same two answers.
            drawn = questions(responses, recipe, seed_for(self.cast.recipe.seed, every, self.round))
            found = [
                self._compared(recipe.member(name), prompts, responses, asked, part_of(artifact, at), name, drawn)[0]
                for at, name in enumerate(ensemble.members)
            ]
            made_from = {"ensemble": "&".join(ensemble.members), "parts": [rows.digest for rows in found]}
            rows = [row for part in found for row in part]
            comparisons = self.complete(given(self.round, every, Comparison, rows, made_from))
            told = {"vote": ensemble.vote}
        ratings = rated(comparisons, responses, recipe, round=self.round, artifact=artifact)
        positions = as_facts(position_statistics(comparisons))
        facts = {"comparisons": comparisons.digest, "positions": positions, "ridge": recipe.ridge, **told}
        return self.complete(given(self.round, artifact, Judgment, ratings, facts))

    def _compared(
        self,
        recipe: JudgeRecipe,
        prompts: Mapping[str, Prompt],
        responses: Sequence[Response],
        asked: Mapping[str, Any],
        artifact: str,
        member: str = "",
        drawn: Sequence[Question] | None = None,
    ) -> tuple[Rows[Comparison], dict[str, Any]]:
        """(one judge's comparisons, of what was `drawn` or its own, what is told of the debates before them)."""
        player, part = self.cast.role(recipe.model, self.playing), part_of(artifact, COMPARISONS)
        show, told = None, dict[str, Any]()
        if recipe.debating is not None:
            debater, spoken = self.cast.role(recipe.debater, self.playing), part_of(artifact, SPEECHES)
            work = hold_debates(debater, prompts, responses, recipe, **asked, artifact=spoken, asked_as=part)
            speeches = self.complete(work)
            show = judge_of_debates(recipe, prompts, speeches)
            asked = {**asked, "made_from": {**asked["made_from"], "speeches": speeches.digest}}
            told = {"debates": debate_statistics(speeches), "tie": [recipe.debating.epsilon, recipe.debating.unstable]}
        comparing = compare_answers(
            player, prompts, responses, recipe, **asked, artifact=part, asked=drawn, show=show, member=member
        )
        return self.complete(comparing), told

    def _by_reward_model(
        self,
        player: Player,
        prompts: Mapping[str, Prompt],
        responses: Sequence[Response],
        asked: Mapping[str, Any],
        artifact: str,
    ) -> Rows[Judgment]:
        run, model = self.cast.recipe, player.policy
        scorer = RewardModel(model.directory, model.digest, run.model, run.engine.batch_tokens, self.cast.rest)
        limit = partial(scorer.limit, run.engine.max_length)
        chat = partial(load_renderer, model.directory, run.model, self.cast.day)
        template = run.generate.template
        work = judge_scalar(player, scorer, limit, prompts, responses, template, chat, **asked, artifact=artifact)
        with closing(scorer):
            return self.complete(work)

    def _together(self, parts: Sequence[Rows[Judgment]], artifact: str, told: Mapping[str, Any]) -> Rows[Judgment]:
        rows = [row for part in parts for row in part]
        inputs = {**told, "parts": [part.digest for part in parts]}
        return self.complete(given(self.round, artifact, Judgment, rows, inputs))
