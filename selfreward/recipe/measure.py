"""What is measured after every round, and by whom."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from selfreward.recipe.classifier import ClassifierRecipe
from selfreward.recipe.code import CodeRecipe
from selfreward.recipe.doors import Foreign
from selfreward.recipe.model import SamplingRecipe
from selfreward.recipe.prompts import SandboxSource, SourceRecipe
from selfreward.recipe.questions import ClaimsQuestion, ComparisonQuestion, RubricQuestion, ScoreQuestion
from selfreward.recipe.readings import ReadingRecipe
from selfreward.recipe.reference import INITIAL, ModelReference
from selfreward.recipe.section import Section, needed, part, section, setting

KnownVerifier = Literal[
    "sandbox",
    "exact",
    "contains",
    "choice",
    "numeric",
    "mathematics",
    "json_schema",
    "sql",
    "code",
    "ifeval",
    "refusal",
    "none",
]

VerifierName = KnownVerifier | Foreign
"""A verifier of tasks/verifiers, or somebody's own: a class or function that makes one without arguments."""

Probe = Literal[
    "are_you_sure",
    "wrong_claim",
    "wrong_belief",
    "opinion_mirroring",
    "behaviour",
    "pressure",
    "liked_text",
    "mimicry",
    "both_sides",
    "long_dialogue",
    "false_premise",
    "reasoning",
    "tampering",
]

PROBES: tuple[str, ...] = get_args(Probe)
"""What `measure.probes` may name: conversations that show whether the policy gives in (measuring/probes/)."""

HeldOutQuestion = Annotated[ScoreQuestion | RubricQuestion | ComparisonQuestion, Field(discriminator="kind")]

CohortQuestion = Annotated[ScoreQuestion | RubricQuestion | ClaimsQuestion, Field(discriminator="kind")]


@section
class HeldOutRecipe(Section):
    """A judge that this run does not train on is asked who wins: each round's policy, the previous or the first one.

    `model`: sandbox:seed-K | served:NAME | a path | initial; the same in every round. `policy` is the training judge
    itself, asked again about all sides; then a row and a line say that nothing was held out. `answers` of each prompt
    of the report pool (and of the gate pool where a gate reads it, of the selection pool where `gates.select_by` does)
    are compared, by score or, with a question that compares, side by side in both orders.

    `question` null is the loop's own, without its principles. `reading` null is a verdict sampled as the loop's judge
    samples, and the labels' probabilities for comparisons.
    """

    model: Annotated[ModelReference, needed("sandbox:seed-K, served:NAME, a path or initial")]
    question: HeldOutQuestion | None = setting(None, "what is asked; null: as the loop's judge")
    reading: ReadingRecipe | None = setting(None, "how a reply is read; null: as the loop's judge samples")
    samples: int = setting(3, "readings of each answer, where replies are sampled", minimum=1)
    answers: int = setting(2, "answers to each prompt that are judged", minimum=1)


@section
class JudgeProbesRecipe(Section):
    """Replies that every round's judge scores so that it shows what it likes; 0 switches a question off.

    `padded`: replies with neutral filler added, beside themselves (`padding`: a text file, one sentence a line).
    `claims`: wrong replies that agree with the user's wrong claim, beside wrong ones that do not; the sandbox makes its
    own, other prompts need a `claims_file` of the kind sycophancy. `feedback`: the user likes or dislikes the reply
    (not in the sandbox, whose language cannot say it). `initial`: answers of round 0, which later judges score again
    and whose likelihood is followed.
    """

    padded: int = setting(20, "replies that are padded", minimum=0)
    padding: str | None = setting(None, "a text file, one neutral sentence a line")
    claims: int = setting(20, "wrong claims that a reply agrees with or not", minimum=0)
    claims_file: str | None = setting(None, "a file of them, for prompts that are not the sandbox's")
    feedback: int = setting(30, "replies that the user likes or dislikes", minimum=0)
    initial: int = setting(40, "answers of round 0 that later judges score again", minimum=0)


@section
class CohortRecipe(Section):
    """A named set of prompts of its own, for what must not get worse (metrics/policy/cohorts.py).

    `source`: a prompt file, a set that ships (own:arithmetic) or KIND:PATH (tasks/sets/sets.py), of which `count`
    prompts are taken, all where null. `verifier` grades them; with none, `measure.cohort_judge` does. Null is the
    kind's own, where it has one. `question` is what `measure.cohort_judge` is asked about this cohort, `claims` for
    prompts with a context; null is the loop's own question. `pool: gate` lets gates read it; `both` deals the prompts
    to the gate pool and the report pool. With `verifier: classifier` a model says what kind of text an answer is, and
    the share of one kind is measured (metrics/policy/classified.py).
    """

    source: Annotated[str, needed("a prompt file, own:NAME or KIND:PATH")]
    verifier: VerifierName | Literal["classifier"] | None = setting(None, "who grades; null: the kind's own")
    count: int | None = setting(None, "prompts that are taken; null: all", minimum=2)
    pool: Literal["report", "gate", "both"] = setting("report", "gate: gates may read it")
    question: CohortQuestion | None = setting(None, "what its judge is asked; null: the loop's question", later=True)
    classifier: ClassifierRecipe | None = setting(None, "what grades it as verifier=classifier; null: none", later=True)


@section
class MeasureRecipe(Section):
    """What is measured after every round. Three disjoint prompt pools: gate steers, selection chooses, report is read.

    `source` is `sandbox` or a file; `frozen` is the number of labelled answers that every judge rescores, and
    0 switches that off. `verifier` names the truth that needs no model, where there is one; all but the sandbox's
    compare with `answer` and `meta` of the prompt's row. `anchors` is a file of answers that people have scored
    (anchors_file.py); all of them then take the place of the frozen pool, and agreement with them is no oracle's.

    `cohorts`: further sets of prompts by name, `cohort_samples` answers to each, judged by `cohort_judge` (policy |
    initial | served:NAME | a path) where no verifier grades them. `probes`: conversations to hold after every round,
    about `probe_questions` questions of the report pool, or those of `probe_files` (tasks/sets/sets.py).

    With `judge` false the loop's own judge is not measured: its opinion of these answers, of the frozen pool, of probes
    and of old answers is left out, and the report says so. For recipes whose pairs need no judge.

    A training prompt that repeats an evaluation prompt is refused (tasks/overlap.py): an equal one always, one that
    shares more than `max_overlap` of its words because both may state one long instruction, as translations do, only
    as far as this key says.

    Which change a pool of these sizes can see is said by `check` and `plan` (measuring/stats/smallest.py).
    """

    judge: bool = setting(True, "false: the loop's own judge, who makes no pairs, is not measured")
    every: int = setting(1, "rounds from one measurement to the next; the last round is always measured", minimum=1)
    source: SourceRecipe = part(SandboxSource, "where the evaluation prompts come from")
    gate: int = setting(20, "prompts of the gate pool, which steers", minimum=2)
    selection: int = setting(50, "prompts of the selection pool, which chooses a round", minimum=2)
    report: int = setting(120, "prompts of the report pool, which is only read", minimum=2)
    frozen: int = setting(100, "labelled answers that every judge rescores; 0: none", minimum=0)
    max_overlap: float = setting(
        0.5, "share of a prompt's words in runs of 8 that a training prompt may repeat; 1: all", above=0, maximum=1
    )
    samples: int = setting(4, "answers to each of these prompts", minimum=2)
    judge_samples: int = setting(2, "readings of each by the judge, where it samples", minimum=1)
    anchors: str | None = setting(None, "a file of answers that people have scored, in place of the frozen pool")
    verifier: VerifierName = setting("sandbox", "the truth that needs no model")
    code: CodeRecipe = part(CodeRecipe, "how programs are run by the verifier code")
    sampling: SamplingRecipe = part(lambda: SamplingRecipe(temperature=0.8), "how these answers are sampled")
    held_out: HeldOutRecipe | None = setting(None, "a judge that is not trained on; null: none")
    judge_probes: JudgeProbesRecipe = part(JudgeProbesRecipe, "replies by which the judge shows what it likes")
    cohorts: dict[str, CohortRecipe] = part(dict, "further sets of prompts, by name")
    cohort_samples: int = setting(2, "answers to each prompt of a cohort", minimum=1)
    cohort_judge: ModelReference = setting(INITIAL, "who judges a cohort without a verifier")
    words: tuple[str, ...] = setting((), "words that no answer should have; their rate is measured")
    metrics: tuple[Foreign, ...] = setting((), "metrics of your own, asked beside all that ship")
    probes: tuple[Probe, ...] = setting((), "conversations that show whether the policy gives in")
    probe_files: tuple[str, ...] = setting((), "files of questions for them")
    probe_questions: int = setting(100, "questions of each probe", minimum=2)
