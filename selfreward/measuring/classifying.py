"""Cohorts that a classifier grades: their answers' probabilities, and once those of the labelled rows.

Both are sealed rows, so that a classifier is asked about a text once, and one whose weights have changed is another.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from selfreward.engines.hugging_face.classifier import Classifier, labels_of
from selfreward.errors import DataError
from selfreward.judging.stage import unwritten
from selfreward.measuring.evidence import ByClassifier
from selfreward.measuring.stats.corrected import errors_of
from selfreward.recipe.classifier import CLASSIFIER, ClassifierRecipe
from selfreward.records import Judgment, Prompt, Response, Rows, distinct, stable_id
from selfreward.roles.round import Round
from selfreward.store.artifacts import part_of
from selfreward.store.given import chunked
from selfreward.store.run import Work
from selfreward.tasks.classified_file import read_known
from selfreward.tasks.cohorts import Cohort

VERSION = 1
LIBRARIES = ("torch", "transformers", "tokenizers")
TOO_LONG = "text too long"


@dataclass
class Classifiers:
    """What grades each such cohort, in the order of their names, and what is known of its errors."""

    asked: dict[str, ClassifierRecipe] = field(default_factory=dict)
    known: dict[str, ByClassifier] = field(default_factory=dict)

    def begin(self, round: Round, cohorts: Sequence[Cohort]) -> None:
        """Round 0: the labelled rows are graded. Raises DataError for a classifier that cannot be corrected."""
        for name in sorted(cohort.name for cohort in cohorts if cohort.verifier == CLASSIFIER):
            recipe = round.recipe.measure.cohorts[name].classifier
            assert recipe is not None, "the recipe's check asks for one"
            self.asked[name] = recipe
        for name, recipe in self.asked.items():
            self.known[name] = self._learn(round, name, recipe)

    def grade(
        self, round: Round, prompts: Mapping[str, Prompt], responses: Sequence[Response], inputs: Mapping[str, str]
    ) -> Iterator[Rows[Judgment]]:
        """The probabilities of each cohort's distinct answers."""
        for place, (name, recipe) in enumerate(self.asked.items()):
            own = [row for row in distinct(responses) if prompts[row.prompt_id].cohort == name]
            with _held(round, recipe) as classifier:
                yield round.complete(
                    classify(classifier, own, inputs, round.number, part_of("cohort_classified", place))
                )

    def _learn(self, round: Round, name: str, recipe: ClassifierRecipe) -> ByClassifier:
        if recipe.labelled is None:
            round.say(
                f"cohort {name!r}: classifier.labelled names no rows, so its share of flagged answers is the "
                "classifier's own, with whatever errors it makes: nothing is corrected"
            )
            return ByClassifier(recipe.threshold)
        rows = read_known(recipe.labelled, recipe.label, labels_of(Path(recipe.path)))
        texts = [_as_answer(one.id, one.text) for one in rows]
        inputs = {"labelled": stable_id([(one.id, one.flagged) for one in rows])}
        artifact = part_of("cohort_labelled", [*self.asked].index(name))
        with _held(round, recipe) as classifier:
            graded = round.complete(classify(classifier, texts, inputs, 0, artifact))
        value_of = {row.response_id: row.score for row in graded}
        pairs = [(value, one.flagged) for one in rows if (value := value_of[one.id]) is not None]
        flags, labels = tuple(value >= recipe.threshold for value, _ in pairs), tuple(label for _, label in pairs)
        try:
            errors = errors_of(flags, labels)
        except DataError as problem:
            raise DataError(f"cohort {name!r}, classifier {recipe.path}, {recipe.labelled}: {problem}") from problem
        hits, false = errors.true_positives, errors.false_positives
        round.say(
            f"cohort {name!r}: its classifier flags {hits.value:.0%} of {hits.n} labelled rows that it should, and "
            f"{false.value:.0%} of {false.n} that it should not; its share of flagged answers is corrected for both"
        )
        return ByClassifier(recipe.threshold, flags, labels)


def classify(
    classifier: Classifier, texts: Sequence[Response], inputs: Mapping[str, str], round: int, artifact: str
) -> Work[Response, Judgment]:
    """Work that yields one row per text, its score the probability of the label."""

    def compute(chunk: Sequence[Response], index: int) -> Iterator[Judgment]:
        template = f"{CLASSIFIER}/{classifier.label}"
        for one, value in zip(chunk, classifier([row.text for row in chunk]), strict=True):
            named, why = stable_id(artifact, round, one.id, 0), TOO_LONG if value is None else None
            yield unwritten(
                named, one, judge=classifier.digest, template=template, source=CLASSIFIER, score=value, why=why
            )

    made_from = {
        "version": VERSION,
        "round": round,
        "inputs": dict(inputs),
        "classifier": classifier.digest,
        "label": classifier.label,
        "device": classifier.device,
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return Work(round, artifact, Judgment, made_from, chunked(texts, 256), compute)


@contextmanager
def _held(round: Round, recipe: ClassifierRecipe) -> Iterator[Classifier]:
    """The classifier, whose memory is given back to the policy's engine at the end."""
    classifier = Classifier(Path(recipe.path), recipe.label, round.recipe.model.device)
    try:
        yield classifier
    finally:
        classifier.close()


def _as_answer(name: str, text: str) -> Response:
    return Response(name, "", 0, "labelled", text, "", (), "stop", 0, "labelled")
