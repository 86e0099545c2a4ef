"""What the judge is asked beyond the pools, and what another judge says: the rows behind the metrics of a judge.

judge_probes           round 0: the replies by which a judge shows what it likes (judge_probes.py)
probe_judgments        every round's judge scores them
initial_judgments      a later judge scores some answers of round 0 again, unless it is still round 0's judge
text_likelihoods       every policy's log-probabilities of the same answers
held_out_<pool>        the held-out judge's scores of the policy's answers, or `..._comparisons` with earlier ones
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from selfreward.judging.judge import Judging
from selfreward.judging.pairwise import Question, compare_answers
from selfreward.judging.scoring.pointwise import distinct
from selfreward.measuring.evidence import HeldOut, PoolRows, ProbeReply
from selfreward.measuring.probes.judge_replies import probe_replies
from selfreward.recipe import HeldOutRecipe, ModelReference, held_out_judge, held_out_pools
from selfreward.records import Comparison, Judgment, Labelled, Likelihood, Prompt, Response, Rows, stable_id, to_line
from selfreward.roles.likelihoods import likelihoods
from selfreward.roles.round import Round
from selfreward.store.artifacts import COMPARISONS, held_out_artifact, part_of
from selfreward.store.given import given


@dataclass
class JudgeWatch:
    """What is remembered of earlier rounds: `pools` are the pool rows of every round so far, by round."""

    pools: dict[int, PoolRows] = field(default_factory=dict)
    probes: Rows[ProbeReply] = field(default_factory=lambda: Rows([]))
    texts: Rows[Likelihood] = field(default_factory=lambda: Rows([]))
    held_out_judgments: dict[int, list[Rows[Judgment]]] = field(default_factory=dict)
    trainers: set[str] = field(default_factory=set)
    warned: bool = False

    def ask(
        self,
        round: Round,
        rows: PoolRows,
        judging: Judging | None,
        frozen: Sequence[Labelled],
        training: Sequence[Judgment],
    ) -> dict[str, Any]:
        """Fields of the evidence of a round whose policy's pool rows are `rows`.

        Without `judging` the loop's own judge is asked nothing.
        """
        number = round.number
        self.pools[number] = rows
        self.trainers |= {judgment.judge for judgment in training}
        # From round 0 to this one, without what a gate rolled back or what was not measured.
        led_here = [0, *round.cast.lineage(number), number] if number else [0]
        lineage = [earlier for earlier in led_here if earlier in self.pools]
        if number == 0:
            pairs = [(row.prompt, row.response) for row in frozen] or self._answers(0, "report", 1)
            replies = probe_replies(round.recipe, pairs) if judging else []
            self.probes = round.complete(given(0, "judge_probes", ProbeReply, replies, {}))
        probed = self._probed(judging) if judging else Rows([])
        again = self._again(round, judging) if judging else Rows([])
        texts = self._texts(round)
        found: dict[str, Any] = {
            "history": [self.pools[earlier] for earlier in lineage[:-1]],
            "probes": self.probes,
            "probe_judgments": probed,
            "initial_rejudged": again,
            "text_likelihoods": {"policy": texts, "initial": self.texts} if number else {},
        }
        if round.recipe.measure.held_out is not None:
            found["held_out"] = self._held_out(round, lineage, round.recipe.measure.held_out)
        return found

    def _answers(self, number: int, pool: str, count: int) -> list[tuple[Prompt, Response]]:
        """The first `count` answers to each prompt of a pool, by prompt id and sample."""
        prompts = {prompt.id: prompt for prompt in self.pools[number].prompts if prompt.pool == pool}
        responses = [row for row in self.pools[number].responses if row.prompt_id in prompts and row.sample < count]
        responses.sort(key=lambda row: (row.prompt_id, row.sample))
        return [(prompts[row.prompt_id], row) for row in responses]

    def _probed(self, judging: Judging) -> Rows[Judgment]:
        # A lone reply has nothing to be compared with.
        alone = judging.recipe.ranks
        asked = [row for row in self.probes if not (alone and row.question == "feedback")]
        if not asked:
            return Rows([])
        prompts = {row.prompt.id: row.prompt for row in asked}
        responses = [row.response for row in asked]
        return judging.judge(prompts, responses, {"probes": self.probes.digest}, "probe_judgments")

    def _old_answers(self, round: Round) -> list[tuple[Prompt, Response]]:
        """The answers of round 0 that are looked at again: the first to each of some report prompts."""
        return self._answers(0, "report", 1)[: round.recipe.measure.judge_probes.initial]

    def _again(self, round: Round, judging: Judging) -> Rows[Judgment]:
        """What this round's judge says of round 0's answers. A rating by comparisons says nothing of one answer."""
        asked = self._old_answers(round) if round.number and not judging.recipe.ranks else []
        if not asked:
            return Rows([])
        if _judges(round, round.number) == _judges(round, 0):
            names = {response.id for _, response in asked}
            rows = [row for row in self.pools[0].judgments if row.response_id in names]
            return Rows(rows, stable_id("the same judge", [to_line(row) for row in rows]))
        prompts, responses = {prompt.id: prompt for prompt, _ in asked}, [response for _, response in asked]
        return judging.judge(prompts, responses, {"asked": _digest(asked)}, "initial_judgments")

    def _texts(self, round: Round) -> Rows[Likelihood]:
        asked = self._old_answers(round)
        if not asked:
            return Rows([])
        work = likelihoods(
            round.cast.player(round.cast.policies[round.number]),
            {prompt.id: prompt for prompt, _ in asked},
            [response for _, response in asked],
            round.recipe.generate,
            made_from={"asked": _digest(asked)},
            round=round.number,
            artifact="text_likelihoods",
        )
        found: Rows[Likelihood] = round.complete(work)
        if round.number == 0:
            self.texts = found
        return found

    def _held_out(self, round: Round, lineage: Sequence[int], held_out: HeldOutRecipe) -> HeldOut:
        number = round.number
        trains = self._trains(round, held_out.model)
        pools = held_out_pools(round.recipe)
        asked = [row.id for n in lineage for pool in pools for _, row in self._answers(n, pool, held_out.answers)]
        if held_out_judge(round.recipe, held_out).comparing:
            fought = [self._compared(round, lineage, pool, held_out) for pool in pools] if number else []
            comparisons = [row for rows in fought for row in rows]
            return HeldOut(trains, asked, comparisons=comparisons)
        # A judge that is another one every round has to score the earlier answers too.
        changing = held_out.model.kind == "policy"
        sides = sorted({number, lineage[-2] if number else 0, 0}, reverse=True) if changing else [number]
        self.held_out_judgments[number] = [
            self._scored(round, side, pool, held_out) for side in sides for pool in pools
        ]
        used = [rows for n in ([number] if changing else lineage) for rows in self.held_out_judgments[n]]
        judgments = [row for rows in used for row in rows]
        return HeldOut(trains, asked, judgments)

    def _trains(self, round: Round, model: ModelReference) -> bool:
        judge = round.cast.role(model, round.number + 1).policy.digest
        steers = round.recipe.judge.asks_model
        trains = model.kind == "policy" or judge in self.trainers or (steers and judge in _judges(round, round.number))
        if trains and not self.warned:
            self.warned = True
            round.say(
                f"warning: round {round.number}: measure.held_out.model={model} is the policy itself, or a judge that "
                "also scores answers for training here; its win rates are self-judged, name another model"
            )
        return trains

    def _scored(self, round: Round, side: int, pool: str, held_out: HeldOutRecipe) -> Rows[Judgment]:
        asked, number = self._answers(side, pool, held_out.answers), round.number
        judging = Judging(held_out_judge(round.recipe, held_out), round.cast, round.complete, number, number + 1)
        artifact = held_out_artifact(pool, None if side == number else side)
        prompts = {prompt.id: prompt for prompt, _ in asked}
        responses = distinct([response for _, response in asked])
        return judging.judge(prompts, responses, {"asked": _digest(asked)}, artifact)

    def _compared(self, round: Round, lineage: Sequence[int], pool: str, held_out: HeldOutRecipe) -> Rows[Comparison]:
        number = round.number
        now = self._answers(number, pool, held_out.answers)
        asked: list[Question] = []
        for side in sorted({lineage[-2], 0}, reverse=True):
            before = {(row.prompt_id, row.sample): row for _, row in self._answers(side, pool, held_out.answers)}
            for _, one in now:
                other = before.get((one.prompt_id, one.sample))
                if other is not None and one.text != other.text:
                    asked += [Question(one, other, None), Question(other, one, None)]
        shown = [(one, two) for one, two, _ in asked]
        made_from = {"asked": stable_id("asked", [(to_line(one), to_line(two)) for one, two in shown])}
        work = compare_answers(
            round.cast.role(held_out.model, number + 1),
            {prompt.id: prompt for prompt, _ in now},
            [],
            held_out_judge(round.recipe, held_out),
            made_from=made_from,
            round=number,
            artifact=part_of(held_out_artifact(pool), COMPARISONS),
            asked=asked,
        )
        found: Rows[Comparison] = round.complete(work)
        return found


def _judges(round: Round, number: int) -> list[str]:
    """The digests of the models that judge for the policy of round `number`."""
    return [round.cast.role(reference, number + 1).policy.digest for reference in round.recipe.judge.models]


def _digest(asked: Sequence[tuple[Prompt, Response]]) -> str:
    """Of everything that is asked about: ids alone do not say what a text is."""
    return stable_id("asked", [(to_line(prompt), to_line(response)) for prompt, response in asked])
