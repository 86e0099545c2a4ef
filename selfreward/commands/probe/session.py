"""The session with a model: it answers, judges and is doubted, and the metrics of a run are computed from what it said.

Nothing is trained and nothing is stored; the seeds depend on `seed`, the questions and their order alone, so that the
same command gives the same numbers, and two models are asked alike.
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from selfreward.commands.probe.choosing import choose_from
from selfreward.commands.probe.material import LabelSet, Material, PromptSet
from selfreward.commands.probe.models import Subject
from selfreward.errors import RecipeError
from selfreward.judging.judge import Judging
from selfreward.judging.scoring.pointwise import distinct
from selfreward.measuring.evidence import AskedValue, Evidence, PoolRows
from selfreward.measuring.metrics import addresses
from selfreward.measuring.pools import pool_judging, pool_sampling
from selfreward.measuring.probes.asked import measured
from selfreward.measuring.probes.drive import drive
from selfreward.measuring.probes.questions import Questions
from selfreward.progress import Progress
from selfreward.recipe import PROBES
from selfreward.records import Judgment, Labelled, Measurement, Response, Rows
from selfreward.roles.cast import Cast
from selfreward.roles.player import Player
from selfreward.roles.respond import answering
from selfreward.roles.unkept import complete_unkept
from selfreward.tasks.verifiers.protocol import Verifier, load_verifier

FAMILIES: dict[str, tuple[str, ...]] = {
    "truth": ("truth", "coverage"),
    "length": ("length", "form"),
    "form": ("form",),
    "refusal": ("form",),
    "diversity": ("diversity", "lexical_diversity", "embedded_diversity"),
    "judge": ("belief", "judge", "judge_agreement", "judge_health", "judge_length"),
    "sycophancy": (),
    "behaviour": (),
    "conversation": (),
    "choices": (),
}
"""Name -> the metrics behind it (their names in `measuring/metrics`); three of them hold conversations, one chooses."""
BY_NAME = ("conversation",)
"""Families that are asked where they are named: about 800 replies with the sets that ship."""
OF_METRICS: dict[str, Callable[[str], bool]] = {
    "length": lambda metric: metric.startswith(("length", "truncated")),
    "refusal": lambda metric: "refusal" in metric,
    "form": lambda metric: metric.endswith(("list_rate", "markdown_rate")),
}
"""Where several families share a metric's module: which of its rows are whose."""
CONVERSATIONS = "asked"
"""What stands in place of a set where a probe chose its questions itself."""
CHOICES = "choices"
SHORT_TALKS = {
    "sycophancy": ("are_you_sure", "wrong_claim", "wrong_belief", "opinion_mirroring"),
    "behaviour": ("behaviour",),
}
SHORTER = {name for names in SHORT_TALKS.values() for name in names}
TALKS = {**SHORT_TALKS, "conversation": tuple(name for name in PROBES if name not in SHORTER)}


@dataclass
class Probed:
    """What was found about a model. `answers` are its rows by set, `asked` the values of its conversations, `chosen`
    those of its choices by set.
    """

    name: str
    policy: str
    families: dict[str, list[Measurement]]
    answers: dict[str, tuple[PoolRows, Verifier | None]] = field(default_factory=dict)
    asked: list[AskedValue] = field(default_factory=list)
    chosen: dict[str, list[AskedValue]] = field(default_factory=dict)


def wanted_families(text: str | None, material: Material) -> list[str]:
    """The families named, or all that have something to ask. Raises RecipeError for an unknown or an empty one."""
    conversations = material.questions.probes()
    there = {
        name: bool(material.prompts) if name not in TALKS else any(talk in conversations for talk in TALKS[name])
        for name in FAMILIES
    }
    there["truth"] = any(one.verifier != "none" for one in material.prompts)
    there["judge"] = there["judge"] or bool(material.labels)
    there[CHOICES] = bool(material.choices)
    if text is None:
        return [name for name, present in there.items() if present and name not in BY_NAME]
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in FAMILIES:
            raise RecipeError(f"--family: {name!r} is unknown; expected some of {', '.join(FAMILIES)}")
        if not there[name]:
            raise RecipeError(f"--family: {name!r} has nothing to ask here; add --source or a --probe-file for it")
    if not names:
        raise RecipeError(f"--family: nothing is named; expected some of {', '.join(FAMILIES)}")
    return names


def probe(model: Subject, material: Material, families: Sequence[str], progress: Progress) -> Probed:
    """Ask the model everything that the families need."""

    found = Probed(model.name, model.policy.digest, {name: [] for name in families})
    with closing(Cast(model.recipe, lambda policy, report: None, [model.policy])) as cast:
        complete = partial(complete_unkept, cast=cast, progress=progress, name=model.name)
        judging = Judging(pool_judging(model.recipe), cast, complete, 0, 1)
        player = cast.player(model.policy)
        for asked in material.prompts:
            _about_prompts(found, asked, player, judging, complete, model)
        if "judge" in families:
            for labels in material.labels:
                _about_labels(found, labels, judging)
        for family in TALKS.keys() & found.families.keys():
            _converse(found, family, material.questions, player, model, progress)
        if CHOICES in families:
            found.chosen, found.families[CHOICES] = choose_from(material.choices, player, cast.day, model, progress)
    return found


def _about_prompts(
    found: Probed,
    asked: PromptSet,
    player: Player,
    judging: Judging,
    complete: Callable[..., Rows[Any]],
    model: Subject,
) -> None:
    families = [name for name in found.families if name not in (*TALKS, CHOICES)]
    if not families:
        return
    prompts = Rows(asked.prompts, asked.name)
    work = answering(player, prompts, pool_sampling(model.recipe), round=0, artifact="responses")
    responses: Rows[Response] = complete(work)
    judgments: Sequence[Judgment] = []
    if "judge" in families:
        judgments = judging.judge({row.id: row for row in prompts}, distinct(responses), {}, "judgments")
    rows = PoolRows(prompts, responses, judgments)
    verifier = None if asked.verifier == "none" else load_verifier(asked.verifier)
    found.answers[asked.name] = (rows, verifier)
    evidence = _evidence(found.policy, rows, verifier)
    for family in families:
        _measure(found, family, evidence, asked.name, brought=asked.verifier != "sandbox")


def _about_labels(found: Probed, labels: LabelSet, judging: Judging) -> None:
    asked = {row.prompt.id: row.prompt for row in labels.rows}
    judgments = judging.judge(asked, [row.response for row in labels.rows], {}, "label_judgments")
    evidence = _evidence(found.policy, PoolRows((), (), ()), None, labels.rows, judgments)
    _measure(found, "judge", evidence, labels.name, labels.metrics)


def _measure(
    found: Probed, family: str, evidence: Evidence, name: str, only: Sequence[str] = (), *, brought: bool = False
) -> None:
    """The family's rows, each under the name of its set in place of the pool.

    `brought`: the truth stands in the set's own rows, so that a user has it and nothing is oracle knowledge.
    """
    belongs = OF_METRICS.get(family, lambda metric: True)
    for metric in FAMILIES[family]:
        module, attribute = addresses()[metric].split(":")
        rows: list[Measurement] = getattr(importlib.import_module(module), attribute)(evidence)
        kept = [row for row in rows if belongs(row.metric) and (not only or row.metric in only)]
        found.families[family] += [
            dataclasses.replace(row, pool=name, oracle=row.oracle and not brought) for row in kept
        ]


def _converse(
    found: Probed, family: str, questions: Questions, player: Player, model: Subject, progress: Progress
) -> None:
    starts = {name: begin for name, begin in questions.probes().items() if name in TALKS[family]}
    values: list[AskedValue] = []
    for name, begin in starts.items():
        with progress.stage(f"{model.name}: {name}", len(begin)) as stage:
            for start in begin:
                values += drive(player, start(), model.recipe.generate, model.recipe.measure.sampling)
                stage.advance()
    found.asked += values
    found.families[family] += [
        dataclasses.replace(row, pool=CONVERSATIONS) for row in measured(values, round=0, policy=found.policy)
    ]


def _evidence(
    policy: str,
    pools: PoolRows,
    verifier: Verifier | None,
    frozen: Sequence[Labelled] = (),
    frozen_judgments: Sequence[Judgment] = (),
) -> Evidence:
    nothing: Mapping[str, Any] = {}
    return Evidence(
        round=0,
        policy=policy,
        pools=pools,
        initial=PoolRows((), (), ()),
        frozen=frozen,
        frozen_judgments=frozen_judgments,
        likelihoods=nothing,
        round_prompts=(),
        round_responses=(),
        round_judgments=(),
        round_meta=(),
        round_pairs=(),
        round_drops=(),
        training=nothing,
        verifier=verifier,
    )
