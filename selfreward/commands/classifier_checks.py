"""Cohorts that a classifier grades: it is there, loads, knows its label, and its labelled rows can be used."""

from pathlib import Path

from selfreward.recipe import Recipe
from selfreward.tasks.classified_file import read_known


def check_classifiers(recipe: Recipe) -> None:
    """Raise DataError for one that could not grade. Each is loaded once: here, and not when answers are there."""
    for cohort in recipe.measure.cohorts.values():
        if cohort.classifier is None:
            continue
        from selfreward.engines.hugging_face.classifier import Classifier, labels_of

        asked = cohort.classifier
        if asked.labelled is not None:
            read_known(asked.labelled, asked.label, labels_of(Path(asked.path)))
        classifier = Classifier(Path(asked.path), asked.label, recipe.model.device)
        classifier.require()
        classifier.close()
