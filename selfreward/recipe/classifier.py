"""A model that tells what kind of text an answer is: `measure.cohorts.NAME.classifier`."""

from typing import Annotated

from selfreward.recipe.section import Section, needed, section, setting

CLASSIFIER = "classifier"
"""The verifier of a cohort whose answers a classifier grades."""


@section
class ClassifierRecipe(Section):
    """A directory with a model for sequence classification grades the answers of a cohort, each by its text alone.

    An answer is flagged where the probability of `label`, one of the model's id2label, is `threshold` or more. No code
    of the directory is run. A classifier errs: `labelled` is a file of rows with `text` and `label` (true, false, or a
    name of id2label) which are like the answers; on them its two error rates are found, and the share of flagged
    answers is corrected for both (measuring/stats/corrected.py). Without it the share is the classifier's own.
    """

    path: Annotated[str, needed("a directory with a model for sequence classification")]
    label: Annotated[str, needed("the class that is counted, one of the model's id2label")]
    threshold: float = setting(0.5, "probability from which an answer is flagged", above=0, maximum=1)
    labelled: str | None = setting(None, "a file of labelled texts, for its error rates; null: nothing is corrected")
