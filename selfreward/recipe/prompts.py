"""What is asked and how it is answered: prompts, those that the model writes itself, and the answers to them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from selfreward.recipe.model import SamplingRecipe
from selfreward.recipe.reference import POLICY, ModelReference
from selfreward.recipe.section import Section, needed, part, section, setting


@section
class SandboxSource(Section):
    """The sandbox's own prompts, whose truth is known."""

    kind: Literal["sandbox"] = "sandbox"
    checklists: bool = setting(
        False, "every prompt brings a checklist of its right answer (meta.rubric), for judges", later=True
    )


@section
class EnglishSource(Section):
    """Everyday requests in English with instructions that a verifier can check: measure.verifier=ifeval.

    Topics of the evaluation prompts are never trained on (tasks/english).
    """

    kind: Literal["english"] = "english"


@section
class AdversarialSource(Section):
    """Requests that tempt, with harmless placeholders (tasks/adversarial): cohorts harmful, benign and tempting."""

    kind: Literal["adversarial"] = "adversarial"


@section
class ColumnsRecipe(Section):
    """Under which names a row holds what a prompt needs, where they are not these."""

    prompt: str | None = setting(None, "the column of the question as text")
    messages: str | None = setting(None, "the column of the question as a list of turns")
    answer: str | None = setting(None, "the column of the gold answer")
    id: str | None = setting(None, "the column of the id")
    cohort: str | None = setting(None, "the column of the cohort")
    meta: str | None = setting(None, "the column of what a verifier needs")


@section
class FileSource(Section):
    """Whatever `datasets` loads (tasks/tables.py); a row has `prompt`, `messages` or another form (tasks/row_forms.py).

    A bare string that is no tag is its path.
    """

    SHORTHAND: ClassVar[str | None] = "path"

    path: Annotated[str, needed("JSON Lines, JSON, CSV, parquet, a saved data set, or hub:org/name[:config][:split]")]
    kind: Literal["file"] = "file"
    columns: ColumnsRecipe = part(ColumnsRecipe, "which columns hold what a prompt needs")
    last_assistant: Literal["answer", "drop"] | None = setting(
        None, "a last turn that is the assistant's: the gold answer, or dropped; null: refused"
    )
    repeated: Literal["refuse", "drop"] = setting("refuse", "a prompt that stands there twice; drop keeps the first")


@section
class MadeSource(Section):
    """A small set that ships (tasks/made): questions to a database (measure.verifier=sql), requests that are refused
    needlessly beside such as should be (measure.verifier=refusal), or texts to summarise (measure.verifier=none).
    """

    kind: Literal["text_to_sql", "false_refusals", "summarise"] = "text_to_sql"


SourceRecipe = Annotated[
    SandboxSource | EnglishSource | AdversarialSource | MadeSource | FileSource, Field(discriminator="kind")
]


@section
class WriterRecipe(Section):
    """New prompts in the manner of Self-Instruct (SRLM, 2401.10020 §2.2): few-shot, then filtered.

    `share` of each round's prompts is self-written. `max_similarity` is ROUGE-L F1 against every kept prompt.
    `model`: policy | initial | round:K | served:NAME | a path; any but the policy is a teacher.
    """

    share: float = setting(0.0, "share of each round's prompts that the model writes itself", minimum=0, maximum=1)
    model: ModelReference = setting(POLICY, "who writes: policy, initial, round:K, served:NAME or a path")
    template: str = setting("sandbox", "how new prompts are asked for")
    seed_examples: int = setting(6, "given prompts that are shown", minimum=0)
    written_examples: int = setting(2, "self-written prompts that are shown", minimum=0)
    max_similarity: float = setting(0.9, "ROUGE-L F1 with any kept prompt, at most", above=0, maximum=1)
    min_words: int = setting(3, "words at least", minimum=1)
    max_words: int = setting(150, "words at most", minimum=1)
    banned_words: tuple[str, ...] = setting((), "words that a prompt must not have")
    oversample: float = setting(2.0, "prompts that are asked for, as a multiple of those needed", minimum=1)
    sampling: SamplingRecipe = part(lambda: SamplingRecipe(temperature=1.0, max_tokens=32), "how they are sampled")


@section
class PromptsRecipe(Section):
    """The training prompts. `source`: `sandbox`, `english`, `adversarial`, or the path of a file."""

    source: SourceRecipe = part(SandboxSource, "where they come from")
    per_round: int = setting(600, "prompts of one round", minimum=1)
    writer: WriterRecipe = part(WriterRecipe, "prompts that the model writes itself")


@section
class GeneratorRecipe(Section):
    """One more generator beside the policy: policy | initial | round:K | earlier, at a temperature of its own.

    `earlier` deals the prompts out among the checkpoints before the round's start, evenly over cohorts.
    """

    model: ModelReference = setting(POLICY, "who answers: policy, initial, round:K or earlier")
    samples: int = setting(1, "answers to each prompt", minimum=1)
    temperature: float | None = setting(None, "0 takes the likeliest token; null: as generate.sampling", minimum=0)


@section
class GenerateRecipe(Section):
    """K = `samples` answers per prompt; equal texts of one prompt are judged once when `deduplicate` is on.

    `mix` adds the answers of further generators, each with its source on the row (roles/respond.py). Not for a policy
    gradient, which needs answers of one distribution.

    `source` is a file of answers of your own (tasks/responses_file.py): they are judged and paired, nothing is sampled
    in training, and its prompts are the round's. They are off-policy; the report says so.
    """

    source: str | None = setting(None, "a file of prompts with responses, in place of sampled ones; null: sampled")
    samples: int = setting(6, "answers to each prompt (K)", minimum=2)
    template: str = setting("plain", "how the prompt is put to the model")
    deduplicate: bool = setting(True, "judge equal answers to one prompt once")
    sampling: SamplingRecipe = part(SamplingRecipe, "how they are sampled")
    mix: tuple[GeneratorRecipe, ...] = setting((), "further generators, beside the policy")

    @property
    def answers(self) -> int:
        """Answers to each prompt of training, by all generators."""
        return self.samples + sum(one.samples for one in self.mix)
