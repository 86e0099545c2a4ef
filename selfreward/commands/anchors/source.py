"""Of which round of which run labels are wanted."""

from pathlib import Path

from selfreward.errors import DataError, RecipeError
from selfreward.store.results import Store
from selfreward.store.view import RunView


def measured_round(source: str, against: int | None, results: Path) -> tuple[RunView, int]:
    """RUN[@ROUND] in `results`, its last measured round otherwise. Raises DataError where it is not measured."""
    name, _, number = source.rpartition("@")
    view = Store(results).existing(name if name and number.isdecimal() else source)
    measured = [one for one in view.rounds() if view.seal(one, "eval_judgments")]
    wanted = int(number) if name and number.isdecimal() else max(measured, default=0)
    for one in (wanted, *([] if against is None else [against])):
        if one not in measured:
            raise DataError(f"run {view.name!r}: round {one} is not measured; it has {measured or 'none'}")
    if against == wanted:
        raise RecipeError(f"--against {against}: a round cannot be compared with itself; expected another round")
    return view, wanted
