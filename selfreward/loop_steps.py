"""Each step of a round: from sealed inputs to sealed rows. `loop.py` says in which order."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from selfreward.engines.checkpoints import chat_digest
from selfreward.judging import by_verifier as verify
from selfreward.judging import meta as compare
from selfreward.judging import pointwise as judge
from selfreward.judging.judge import Judging
from selfreward.judging.scoring.battles import hold_battles
from selfreward.judging.scoring.pointwise import distinct
from selfreward.measuring.gates import best_round, decision, judge_round, refuse_oracle_rules, require_readable
from selfreward.measuring.measure import Measuring, RoundRows
from selfreward.pairing import reference as pair
from selfreward.pairing.judgments import judgment_pairs
from selfreward.pairing.pair import Preferences
from selfreward.progress import Progress, Stage
from selfreward.recipe import Recipe, as_dict
from selfreward.records import Drop, Judgment, Measurement, MetaJudgment, Pair, Prompt, Response, Rows, seed_for
from selfreward.report.trackers import Tracking
from selfreward.roles import respond, write
from selfreward.roles.cast import Cast, Policy
from selfreward.store.given import given
from selfreward.store.run import Row, Run, Work
from selfreward.tasks.source import Source
from selfreward.tasks.verifiers.protocol import Verifier
from selfreward.training import train
from selfreward.training.train import Build


@dataclass
class Steps:
    recipe: Recipe
    source: Source
    verifier: Verifier | None
    artifacts: Run
    cast: Cast
    progress: Progress
    told: Tracking = field(default_factory=Tracking)
    written: list[str] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    rejected: set[int] = field(default_factory=set)
    measuring: Measuring = field(init=False)

    def __post_init__(self) -> None:
        self.measuring = Measuring(self.recipe, self.verifier, self.cast, self._complete, self.progress.say)

    def begin(self, start: Policy) -> None:
        """Round 0: the start policy is copied into the run, and the frozen pools are written down."""
        determined_by = {"start": start.digest, "text_files": start.text_files}
        self._checkpoint(0, determined_by, train.adopt(start.directory, start.digest))
        self.measuring.begin(self.source)

    def prompts(self, number: int) -> tuple[Rows[Prompt], list[Drop]]:
        """The round's prompts: drawn, and a share written by the model itself; with what was refused and why."""
        recipe = self.recipe.prompts
        settings = as_dict(recipe) | {"writer": write.settings(recipe.writer)}
        determined_by: dict[str, Any] = {"prompts": settings, "seed": self.recipe.seed}
        written: list[Prompt] = []
        drops: list[Drop] = []
        wanted = round(recipe.per_round * recipe.writer.share)
        if wanted:
            player, seeds = self.cast.role(recipe.writer.model, number), self.source.examples()
            work = write.write_prompts(player, seeds, self.written, recipe.writer, wanted, round=number)
            replies = self._complete(work)
            drawn = self.source.training(number, recipe.per_round)
            written, drops = write.select(
                replies,
                drawn,
                self.measuring.prompts(),
                recipe.writer,
                wanted,
                overlap_words=self.source.overlap_words,
            )
            determined_by["written"] = replies.digest
            self.written = [prompt.text for prompt in written]
        # What the filters took is made up from the source, so that every round has as many prompts.
        drawn = self.source.training(number, recipe.per_round - len(written))
        return self._complete(given(number, "prompts", Prompt, [*drawn, *written], determined_by)), drops

    def respond(self, number: int, prompts: Rows[Prompt]) -> Rows[Response]:
        player = self.cast.role("policy", number)
        return self._complete(respond.respond(player, prompts, self.recipe.generate, round=number))

    def judge(self, number: int, prompts: Rows[Prompt], responses: Rows[Response]) -> Rows[Judgment]:
        """Every distinct answer is scored. Raises GateError when too few verdicts can be read."""
        recipe = self.recipe.judge
        wanted: Sequence[Response] = distinct(responses) if self.recipe.generate.deduplicate else responses
        inputs = {"prompts": prompts.digest, "responses": responses.digest, "judged": str(len(wanted))}
        if recipe.source == "oracle" and self.verifier is not None:
            work = judge.ask_oracle(self.verifier, _by_id(prompts), wanted, made_from=inputs, round=number)
            return self._complete(work)
        if recipe.source == "none":
            return Rows([])
        if recipe.source == "verifier_then_model" and self.verifier is not None:
            return self._judge_what_is_open(number, prompts, wanted, self.verifier, inputs)
        judgments = Judging(recipe, self.cast, self._complete, number, number).judge(_by_id(prompts), wanted, inputs)
        require_readable(judgments, self.recipe.gates.min_readable, number)
        return judgments

    def _judge_what_is_open(
        self,
        number: int,
        prompts: Rows[Prompt],
        wanted: Sequence[Response],
        verifier: Verifier,
        inputs: Mapping[str, str],
    ) -> Rows[Judgment]:
        """The verifier's verdicts, and the model's on the prompts about which the verifier says nothing."""
        recipe = self.recipe.judge
        named = self.recipe.measure.verifier
        verdicts = self._complete(
            verify.ask_verifier(verifier, named, _by_id(prompts), wanted, made_from=inputs, round=number)
        )
        asked = verify.left_to_the_model(verdicts, wanted)
        made_from = {**inputs, "verdicts": verdicts.digest}
        judging = Judging(recipe, self.cast, self._complete, number, number)
        opinions = judging.judge(_by_id(prompts), asked, made_from, "model_judgments")
        if opinions:
            require_readable(opinions, self.recipe.gates.min_readable, number)
        merged = verify.merge(verdicts, opinions)
        return self._complete(given(number, "judgments", Judgment, merged, {"opinions": opinions.digest, **made_from}))

    def compare(
        self, number: int, prompts: Rows[Prompt], responses: Rows[Response], judgments: Rows[Judgment]
    ) -> Rows[MetaJudgment]:
        """The model's judgments meet in both orders, if the recipe has a meta-judge."""
        recipe = self.recipe.meta
        if not recipe.enabled:
            return Rows([])
        player = self.cast.role(recipe.model, number)
        work = compare.compare(player, _by_id(prompts), _by_id(responses), judgments, recipe, round=number)
        return self._complete(work)

    def pair(
        self,
        number: int,
        prompts: Rows[Prompt],
        responses: Rows[Response],
        judgments: Rows[Judgment],
        metas: Rows[MetaJudgment],
        refused: Sequence[Drop],
    ) -> tuple[Rows[Pair], Rows[Drop]]:
        """Answer pairs and judgment pairs with their reference log-probabilities; every drop with its reason."""
        recipe, seed = self.recipe, seed_for(self.recipe.seed, "pairs", number)
        preferences = Preferences(
            recipe, self.source, self.verifier, self.artifacts, self.cast, self._complete, number, prompts, responses
        )
        selected, drops = preferences.pairs(judgments)
        if recipe.meta.enabled:
            standings, summary = hold_battles(metas, recipe.meta)
            about_judgments, more = judgment_pairs(
                judgments,
                standings,
                summary,
                recipe.meta,
                answer_pairs=len(selected),
                seed=seed,
            )
            selected, drops = [*selected, *about_judgments], [*drops, *more]
        mixed, outside = preferences.mixed_in(selected)
        selected = [*selected, *mixed]
        asked = {**_by_id(prompts), **outside}
        fresh = [one for one in selected if not one.prompt_token_ids]
        questions = pair.questions(fresh, asked, _by_id(responses), _by_id(judgments), recipe.generate, recipe.judge)
        inputs = {"responses": responses.digest, "judgments": judgments.digest, "metas": metas.digest}
        reference = self.cast.role(recipe.train.reference, number)
        work = pair.refer(
            reference, selected, questions, max_length=recipe.train.max_length, made_from=inputs, round=number
        )
        pairs = self._complete(work)
        drops = [*refused, *drops, *pair.too_long(selected, pairs, recipe.train.max_length)]
        return pairs, self._complete(given(number, "dropped", Drop, drops, {**inputs, "pairs": pairs.digest}))

    def train(self, number: int, pairs: Rows[Pair]) -> None:
        """The next policy, from this round's start against the recipe's reference."""
        start = self.cast.role("policy", number)
        reference = self.cast.resolve(self.recipe.train.reference, number)
        with self.progress.stage(f"round {number}: train") as stage:

            def show(step: int, total: int, loss: float) -> None:
                stage.total = total
                stage.advance(step - stage.done, f"loss {loss:.3f}")
                self.told.step(number, step, loss)

            say = self.progress.say
            drops = () if pairs else self.artifacts.read(number, "dropped", Drop)
            build = train.train(
                self.recipe,
                start,
                reference,
                pairs,
                self.source,
                round=number,
                progress=show,
                say=say,
                drops=drops,
                note=partial(self.artifacts.note, "training memory", number, "checkpoint"),
            )

            def build_alone(out: Path, scratch: Path) -> Mapping[str, Any]:
                # Only where something is really trained: waking an engine costs its weights' reload.
                self.cast.rest()
                return build(out, scratch)

            determined_by = train.made_from(self.recipe, start, reference, pairs.digest, number)
            self._checkpoint(number, determined_by, build_alone)

    def measure(self, number: int, rows: RoundRows) -> None:
        """Everything that is measured of the round's policy, told to the tracker and kept for the gates."""
        facts = self._facts(number)["metrics"]
        measured = self.measuring.measure(number, rows, facts)
        self.measurements += measured
        self.told.round(number, measured, facts)
        refuse_oracle_rules(self.recipe.gates, self.measurements, number)

    def verdict(self, number: int) -> str:
        """The gates' word on the round: go on, stop, or roll back, which sets where the next round starts.

        A verdict is a pure function of recipe and measurements: a resumed run reaches it again. It is written to the
        journal with its evidence; the checkpoints' seals say what each was trained from.
        """
        gates = self.recipe.gates
        verdicts = judge_round(gates, self.recipe.rounds, self.measurements, number)
        decided = decision(verdicts)
        if decided != "go on":
            self.rejected.add(number)
        if decided == "rollback":
            earlier = [row for row in self.measurements if row.round < number]
            self.cast.starts[number + 1] = best_round(earlier, self.rejected, gates.select_by)
        for verdict in verdicts:
            evidence = asdict(verdict)
            self.artifacts.note("gate", evidence.pop("round"), "measurements", **evidence)
            if verdict.fired:
                self.progress.say(verdict.sentence)
        if verdicts:
            start = None if decided == "stop" else self.cast.start_of(number + 1)
            self.artifacts.note("verdict", number, decision=decided, next_start=start)
            if decided != "go on":
                self.progress.say(f"round {number}: {decided}" + ("" if start is None else f" to round {start}"))
        return decided

    def discard_unneeded_checkpoints(self) -> None:
        """Retention: the weights of the start, best and last rounds stay, and of any that a reference names.

        The others' weights go; their digests stay in the seals.
        """
        if self.recipe.keep.checkpoints == "all":
            return
        last = len(self.cast.policies) - 1
        asked = (self.recipe.judge.model, self.recipe.meta.model, self.recipe.prompts.writer.model)
        references = (*asked, self.recipe.train.reference)
        named = {int(name.removeprefix("round:")) for name in references if name.startswith("round:")}
        best = best_round(self.measurements, self.rejected, self.recipe.gates.select_by)
        for number in set(range(last)) - {0, best, *named}:
            self.artifacts.discard_weights(number)

    def _complete(self, work: Work[Any, Row]) -> Rows[Row]:
        """The work's rows; a stage is shown only while chunks of it are owed."""
        with ExitStack() as shown:
            stages: list[Stage] = []

            def show(_: Work[Any, Any], done: int, total: int) -> None:
                if not stages and done < total:
                    stages.append(
                        shown.enter_context(self.progress.stage(f"round {work.round}: {work.artifact}", total, done))
                    )
                for stage in stages:
                    stage.advance(done - stage.done)

            self.artifacts.progress = show
            rows = self.artifacts.complete(work)
        seal = self.artifacts.seal(work.round, work.artifact)
        return Rows(rows, seal.digest if seal else "")

    def _checkpoint(self, number: int, determined_by: Mapping[str, Any], build: Build) -> None:
        directory = self.artifacts.complete_directory(number, "checkpoint", determined_by, build)
        policy = Policy(number, str(self._facts(number)["digest"]), directory, chat_digest(directory))
        self.cast.policies.append(policy)

    def _facts(self, number: int) -> Mapping[str, Any]:
        """What the seal of a round's checkpoint says about it."""
        seal = self.artifacts.seal(number, "checkpoint")
        return seal.facts if seal else {}


def _by_id(rows: Sequence[Any]) -> dict[str, Any]:
    return {row.id: row for row in rows}
