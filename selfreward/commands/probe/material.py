"""What a model is asked: sets of prompts, conversations that show whether it gives in, answers that people labelled,
and choices whose likelihoods it is asked for.

Without a file: in the sandbox the prompts of one pool, wrong claims and doubts, and the labelled answers of its frozen
pool; for a round of a run the run's own pool; for any other model the small sets that ship here.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from selfreward.commands.probe.models import Subject
from selfreward.errors import DataError, RecipeError
from selfreward.measuring.probes.questions import Questions, file_questions, sandbox_questions
from selfreward.records import Labelled, Message, Prompt, Response, stable_id
from selfreward.tasks.sandbox.source import SandboxSource
from selfreward.tasks.sandbox.words import WORD_IDS
from selfreward.tasks.sets import OWN, TALKS
from selfreward.tasks.sets.labels import LabelledPair, LabelledTruth
from selfreward.tasks.sets.mc1 import KIND as MC1
from selfreward.tasks.sets.mc1 import MultipleChoice
from selfreward.tasks.sets.sets import ProbeSet, read_set, some
from selfreward.tasks.verifiers.protocol import load_verifier

AskedPool = Literal["gate", "selection", "report"]
BEST, WORST, TIE = 5.0, 0.0, 2.5
JUDGED = ("judge_calibration", "truth_judge")

RUN = "code_tasks"
"""The kind whose answers are programs: they are run only where somebody asked for that."""


@dataclass(frozen=True)
class PromptSet:
    """Prompts, all of the report pool, and the name of what grades the answers to them."""

    name: str
    prompts: Sequence[Prompt]
    verifier: str


@dataclass(frozen=True)
class LabelSet:
    """Labelled answers for the judge. `metrics` are those that this kind of label can say something about."""

    name: str
    rows: Sequence[Labelled]
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Material:
    """`choices` are questions with given answers, by the name of their set."""

    prompts: Sequence[PromptSet]
    labels: Sequence[LabelSet]
    questions: Questions
    choices: Mapping[str, Sequence[MultipleChoice]] = field(default_factory=dict)


def material(
    model: Subject, files: Sequence[str], source: str | None, pool: AskedPool, count: int | None, questions: int
) -> Material:
    """Raises RecipeError or DataError for a file that cannot be read, or that this model cannot be asked about."""
    if model.sandbox and files:
        raise RecipeError(
            f"--probe-file: {model.name!r} knows the sandbox's words only; leave it out, or probe another model"
        )
    sets = [read_set(reference) for reference in files]
    unusable = [one.name for one in sets if one.kind == "refusal_labels"]
    if unusable:
        raise RecipeError(
            f"--probe-file {unusable[0]}: these labels are about our refusal detector and say nothing about a model; "
            "expected questions, conversations, judge_calibration or truth_judge"
        )
    if model.recipe.engine.kind == "scripted" and any(one.kind == MC1 for one in sets):
        raise RecipeError(
            f"--probe-file {MC1}: engine.kind=scripted makes up its log-probabilities, and they say nothing about "
            "choices; expected transformers or vllm"
        )
    asked = [_graded(one, count) for one in sets if one.kind not in (*JUDGED, *TALKS, MC1)]
    if source is not None:
        found = read_set(source)
        named = model.recipe.measure.verifier if found.verifier == "none" else found.verifier
        asked.append(_checked(PromptSet(found.name, some(found.prompts, count), named)))
        if model.sandbox:
            require_words(model.name, asked[-1].prompts)
    elif not files:
        asked = _without_files(model, pool, count)
    labels = [label for one in sets if one.kind in JUDGED for label in label_sets(one, count)]
    if model.sandbox:
        rows = SandboxSource(model.recipe).frozen()
        labels = [LabelSet("frozen", rows[:count])] if rows else []
        return Material(asked, labels, sandbox_questions("report", questions))
    talks = [reference for reference, one in zip(files, sets, strict=True) if one.kind not in (*JUDGED, MC1)]
    choices: dict[str, Sequence[MultipleChoice]] = {}
    for one in sets:
        if one.kind == MC1 and one.name in choices:
            raise RecipeError(f"--probe-file {MC1}: two files are named {one.name!r}; rename one, or ask them apart")
        if one.kind == MC1:
            choices[one.name] = some(list(one.rows), count)
    return Material(asked, labels, file_questions(talks, questions), choices)


def _without_files(model: Subject, pool: AskedPool, count: int | None) -> list[PromptSet]:
    if model.view is not None:
        prompts = [row for row in model.view.read(0, "pools", Prompt) if row.pool == pool]
        verifier = model.recipe.measure.verifier
    elif model.sandbox:
        prompts = [row for row in SandboxSource(model.recipe).pools() if row.pool == pool]
        verifier = "sandbox"
    else:
        return [_graded(read_set(f"own:{name}"), count) for name, kind in OWN.items() if kind not in (*TALKS, RUN)]
    here = [dataclasses.replace(row, pool="report") for row in some(prompts, count)]
    return [PromptSet(pool, here, verifier)]


def _graded(found: ProbeSet, count: int | None) -> PromptSet:
    return _checked(PromptSet(found.name, some(found.prompts, count), found.verifier))


def _checked(asked: PromptSet) -> PromptSet:
    prompts = [dataclasses.replace(prompt, pool="report") for prompt in asked.prompts]
    if asked.verifier != "none":
        verifier = load_verifier(asked.verifier)
        for prompt in prompts:
            verifier.require(prompt)
    return dataclasses.replace(asked, prompts=prompts)


def require_words(name: str, prompts: Sequence[Prompt]) -> None:
    """Raise DataError for a prompt with a word that a sandbox model, `name`, does not know."""
    for prompt in prompts:
        unknown = [word for word in prompt.text.split() if word not in WORD_IDS]
        if unknown:
            raise DataError(
                f"prompt {prompt.id} ({prompt.text[:40]!r}...) has the word {unknown[0]!r}, which {name!r} does not "
                "know: it is a model of the sandbox; expected tasks of the sandbox"
            )


def label_sets(found: ProbeSet, count: int | None) -> list[LabelSet]:
    """Truths as good and bad answers; pairs as a better and a worse answer to one prompt, each source apart."""
    rows = some(list(found.rows), count)
    if found.kind == "truth_judge":
        truths = [_truth(row) for row in rows]
        return [LabelSet(found.name, truths, ("judge_auc", "judge_youden"))]
    sources = dict.fromkeys(row.source for row in rows)
    sets = []
    for source in sources:
        both = [answer for row in rows if row.source == source for answer in _pair(row)]
        sets.append(LabelSet(f"{found.name}, {source}", both, ("judge_pairwise_accuracy",)))
    return sets


def _truth(row: LabelledTruth) -> Labelled:
    prompt = Prompt(row.id, (Message("user", row.question),), "frozen", "file")
    return _labelled(prompt, row.answer, 0, BEST if row.human_label else WORST)


def _pair(row: LabelledPair) -> list[Labelled]:
    if not row.turns or row.turns[-1].role != "user":
        raise DataError(f"pair {row.id}: its conversation does not end with the user's turn")
    prompt = Prompt(row.id, row.turns, "frozen", "file")
    first = {"a": BEST, "b": WORST, "tie": TIE}[row.human_label]
    answers = (row.response_a, row.response_b)
    return [_labelled(prompt, text, side, (first, BEST - first)[side]) for side, text in enumerate(answers)]


def _labelled(prompt: Prompt, text: str, sample: int, label: float) -> Labelled:
    made = Response(
        id=stable_id("label", prompt.id, sample),
        prompt_id=prompt.id,
        sample=sample,
        policy="people",
        text=text,
        reasoning="",
        token_ids=(),
        finish_reason="stop",
        seed=0,
        template="frozen",
    )
    return Labelled(prompt, made, label, "human")
