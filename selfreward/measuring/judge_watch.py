"""What the judge is asked beyond the pools, and what another judge says: the rows behind the metrics of a judge.

judge_probes           round 0: the replies by which a judge shows what it likes (judge_probes.py)
probe_judgments        every round's judge scores them
initial_judgments      a later judge scores some answers of round 0 again, unless it is still round 0's judge
text_likelihoods       every policy's log-probabilities of the same answers
held_out_<pool>        the held-out judge's scores of the policy's answers, or `..._comparisons` with earlier ones
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfreward.judging.judge import Judging
from selfreward.judging.pairwise import Question, compare_answers
from selfreward.judging.scoring.pointwise import distinct
from selfreward.measuring.evidence import HeldOut, PoolRows, ProbeReply
from selfreward.measuring.probes.judge_replies import probe_replies
from selfreward.recipe import HeldOutRecipe, Recipe, held_out_judge, held_out_pools
from selfreward.recipe.check_judge import judges
from selfreward.records import Comparison, Judgment, Labelled, Likelihood, Prompt, Response, Rows, stable_id, to_line
from selfreward.roles.cast import Cast
from selfreward.roles.likelihoods import likelihoods
from selfreward.store.given import given
from selfreward.store.run import Work


@dataclass(frozen=True)
class Findings:
    """Fields of the round's evidence, and the digests of the rows in them."""

    fields: Mapping[str, Any]
    digests: Sequence[str]


@dataclass
class Scrutiny:
    """`pools` are the pool rows of every round so far, by round."""

    recipe: Recipe
    cast: Cast
    complete: Callable[[Work[Any, Any]], Rows[Any]]
    say: Callable[[str], None]
    pools: dict[int, PoolRows] = field(default_factory=dict)
    probes: Rows[ProbeReply] = field(default_factory=lambda: Rows([]))
    texts: Rows[Likelihood] = field(default_factory=lambda: Rows([]))
    held_out_judgments: dict[int, list[Rows[Judgment]]] = field(default_factory=dict)
    trainers: set[str] = field(default_factory=set)
    warned: bool = False

    def ask(
        self,
        number: int,
        rows: PoolRows,
        judging: Judging,
        frozen: Sequence[Labelled],
        training: Sequence[Judgment],
    ) -> Findings:
        """Everything about round `number`, whose policy's pool rows are `rows`."""
        self.pools[number] = rows
        self.trainers |= {judgment.judge for judgment in training}
        # From round 0 to this one, without what a gate rolled back.
        lineage = [0, *self.cast.lineage(number), number] if number else [0]
        if number == 0:
            pairs = [(row.prompt, row.response) for row in frozen] or self._answers(0, "report", 1)
            replies = probe_replies(self.recipe, pairs)
            self.probes = self.complete(given(0, "judge_probes", ProbeReply, replies, {}))
        probed = self._probed(judging)
        again = self._again(number, judging)
        texts = self._texts(number)
        found = {
            "history": [self.pools[earlier] for earlier in lineage[:-1]],
            "probes": self.probes,
            "probe_judgments": probed,
            "initial_rejudged": again,
            "text_likelihoods": {"policy": texts, "initial": self.texts} if number else {},
        }
        digests = [self.probes.digest, probed.digest, again.digest, texts.digest, self.texts.digest]
        if self.recipe.measure.held_out is not None:
            found["held_out"], more = self._held_out(lineage, self.recipe.measure.held_out)
            digests += more
        return Findings(found, digests)

    def _answers(self, number: int, pool: str, count: int) -> list[tuple[Prompt, Response]]:
        """The first `count` answers to each prompt of a pool, by prompt id and sample."""
        prompts = {prompt.id: prompt for prompt in self.pools[number].prompts if prompt.pool == pool}
        responses = [row for row in self.pools[number].responses if row.prompt_id in prompts and row.sample < count]
        responses.sort(key=lambda row: (row.prompt_id, row.sample))
        return [(prompts[row.prompt_id], row) for row in responses]

    def _probed(self, judging: Judging) -> Rows[Judgment]:
        # A lone reply has nothing to be compared with.
        alone = judging.recipe.protocol == "pairwise"
        asked = [row for row in self.probes if not (alone and row.question == "feedback")]
        if not asked:
            return Rows([])
        prompts = {row.prompt.id: row.prompt for row in asked}
        responses = [row.response for row in asked]
        return judging.judge(prompts, responses, {"probes": self.probes.digest}, "probe_judgments")

    def _old_answers(self) -> list[tuple[Prompt, Response]]:
        """The answers of round 0 that are looked at again: the first to each of some report prompts."""
        return self._answers(0, "report", 1)[: self.recipe.measure.judge_probes.initial]

    def _again(self, number: int, judging: Judging) -> Rows[Judgment]:
        """What this round's judge says of round 0's answers. A rating by comparisons says nothing of one answer."""
        asked = self._old_answers() if number and judging.recipe.protocol != "pairwise" else []
        if not asked:
            return Rows([])
        if self._judges(number) == self._judges(0):
            names = {response.id for _, response in asked}
            rows = [row for row in self.pools[0].judgments if row.response_id in names]
            return Rows(rows, stable_id("the same judge", [to_line(row) for row in rows]))
        prompts, responses = {prompt.id: prompt for prompt, _ in asked}, [response for _, response in asked]
        return judging.judge(prompts, responses, {"asked": _digest(asked)}, "initial_judgments")

    def _judges(self, number: int) -> list[str]:
        """The digests of the models that judge for the policy of round `number`."""
        return [self.cast.role(reference, number + 1).policy.digest for reference in judges(self.recipe)]

    def _texts(self, number: int) -> Rows[Likelihood]:
        asked = self._old_answers()
        if not asked:
            return Rows([])
        work = likelihoods(
            self.cast.player(self.cast.policies[number]),
            {prompt.id: prompt for prompt, _ in asked},
            [response for _, response in asked],
            self.recipe.generate,
            made_from={"asked": _digest(asked)},
            round=number,
            artifact="text_likelihoods",
        )
        found: Rows[Likelihood] = self.complete(work)
        if number == 0:
            self.texts = found
        return found

    def _held_out(self, lineage: Sequence[int], held_out: HeldOutRecipe) -> tuple[HeldOut, list[str]]:
        number = lineage[-1]
        trains = self._trains(number, held_out.model)
        pools = held_out_pools(self.recipe)
        asked = [row.id for n in lineage for pool in pools for _, row in self._answers(n, pool, held_out.answers)]
        if held_out.protocol == "pairwise":
            fought = [self._compared(lineage, pool, held_out) for pool in pools] if number else []
            comparisons = [row for rows in fought for row in rows]
            return HeldOut(trains, asked, comparisons=comparisons), [rows.digest for rows in fought]
        # A judge that is another one every round has to score the earlier answers too.
        changing = held_out.model == "policy"
        sides = sorted({number, lineage[-2] if number else 0, 0}, reverse=True) if changing else [number]
        self.held_out_judgments[number] = [
            self._scored(number, side, pool, held_out) for side in sides for pool in pools
        ]
        used = [rows for n in ([number] if changing else lineage) for rows in self.held_out_judgments[n]]
        judgments = [row for rows in used for row in rows]
        return HeldOut(trains, asked, judgments), [rows.digest for rows in used]

    def _trains(self, number: int, model: str) -> bool:
        judge = self.cast.role(model, number + 1).policy.digest
        steers = self.recipe.judge.source in ("model", "verifier_then_model")
        trains = model == "policy" or judge in self.trainers or (steers and judge in self._judges(number))
        if trains and not self.warned:
            self.warned = True
            self.say(
                f"warning: round {number}: measure.held_out.model={model} is the policy itself, or a judge that also "
                "scores answers for training here; its win rates are self-judged, name another model"
            )
        return trains

    def _scored(self, number: int, side: int, pool: str, held_out: HeldOutRecipe) -> Rows[Judgment]:
        asked = self._answers(side, pool, held_out.answers)
        judging = Judging(held_out_judge(self.recipe, held_out), self.cast, self.complete, number, number + 1)
        artifact = f"held_out_{pool}" + ("" if side == number else f"_of_round_{side}")
        prompts = {prompt.id: prompt for prompt, _ in asked}
        responses = distinct([response for _, response in asked])
        return judging.judge(prompts, responses, {"asked": _digest(asked)}, artifact)

    def _compared(self, lineage: Sequence[int], pool: str, held_out: HeldOutRecipe) -> Rows[Comparison]:
        number = lineage[-1]
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
            self.cast.role(held_out.model, number + 1),
            {prompt.id: prompt for prompt, _ in now},
            [],
            held_out_judge(self.recipe, held_out),
            made_from=made_from,
            round=number,
            artifact=f"held_out_{pool}_comparisons",
            asked=asked,
        )
        found: Rows[Comparison] = self.complete(work)
        return found


def _digest(asked: Sequence[tuple[Prompt, Response]]) -> str:
    """Of everything that is asked about: ids alone do not say what a text is."""
    return stable_id("asked", [(to_line(prompt), to_line(response)) for prompt, response in asked])
