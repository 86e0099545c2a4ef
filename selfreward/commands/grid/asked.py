"""What a grid asks beside contrasts: gaps that are recovered, and metrics against KL."""

from collections.abc import Collection, Sequence

from selfreward.errors import RecipeError
from selfreward.measuring.metrics import numbers


def check_asked(
    name: str, arms: Collection[str], recovered: Sequence[Sequence[str]], against_kl: Sequence[str]
) -> None:
    """Raise RecipeError for an arm or a metric that is not there."""
    for three in recovered:
        if len(three) != 3 or not set(three) <= set(arms):
            raise RecipeError(
                f"grid {name}: recovered {list(three)}; expected the arms of a student, of its weak teacher and "
                f"of the ceiling, out of {', '.join(arms)}"
            )
    for metric in against_kl:
        if metric not in numbers():
            raise RecipeError(f"grid {name}: against_kl names {metric!r}; expected metrics, such as true_accuracy")
