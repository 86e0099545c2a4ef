"""A round's policy as a directory that any server of Hugging Face models loads, with a card that says what it is."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selfreward.commands.model_card import licence_of, measurements, model_card, trained_rounds, untrained
from selfreward.engines.handoff import HANDOFF_FILE
from selfreward.errors import StoreError
from selfreward.measuring.gates import rejected_rounds
from selfreward.measuring.selection import best_round
from selfreward.store.files import on_disk
from selfreward.store.view import RunView


def export(view: RunView, number: int, out: Path) -> str:
    """Copy the policy of round `number` to `out`; returns what that is.

    Raises StoreError when `out` holds something, or the checkpoint is missing, pruned or not what was sealed.
    """
    refuse_taken(out)
    if number not in (kept := _kept(view)):
        raise StoreError(
            f"run {view.name!r}, round {number}: its weights were removed to save space (keep.checkpoints=needed). "
            f"Rounds whose weights are there: {', '.join(map(str, kept)) or 'none'}. To have all, run the recipe with "
            "keep.checkpoints=all under another --name"
        )
    checkpoint = view.read_directory(number, "checkpoint")
    card = model_card(view, number, _licence(view))
    with written_beside(out) as beside:
        # Copies, not links: the exported directory is its owner's to change, the run's bytes are not.
        for path in sorted(checkpoint.iterdir()):
            if path.is_file() and path.name != HANDOFF_FILE:
                shutil.copyfile(path, beside / path.name)
        (beside / "README.md").write_text(card, encoding="utf-8")
    return f"round {number}" + (
        " (nothing was trained: the start policy, unchanged)" if untrained(view, number) else ""
    )


def refuse_taken(out: Path) -> None:
    """Raise StoreError when `out` holds something."""
    with on_disk(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StoreError(f"{out}: exists and is not an empty directory; choose another --out or remove it")


@contextmanager
def written_beside(out: Path) -> Iterator[Path]:
    """An empty directory that becomes `out` when all is written into it, and is gone when something fails."""
    refuse_taken(out)
    with on_disk(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            yield beside
            beside.chmod(0o755)
            beside.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _licence(view: RunView) -> str | None:
    """The start model's, which its own files say, where the run still has them."""
    seal = view.seal(0, "checkpoint")
    return licence_of(view.read_directory(0, "checkpoint")) if seal and not seal.pruned else None


def _kept(view: RunView) -> list[int]:
    seals = {number: view.seal(number, "checkpoint") for number in trained_rounds(view)}
    return [number for number, seal in seals.items() if seal is not None and not seal.pruned]


def resolve_round(view: RunView, wanted: str) -> int:
    """The number of the round that `wanted` (best, last or a number) names. Raises StoreError for any other."""
    trained = trained_rounds(view)
    if not trained:
        raise StoreError(f"run {view.name!r} has no finished checkpoint yet; run it first")
    if wanted == "last":
        return trained[-1]
    if wanted == "best":
        rows, recipe = [row for number in trained for row in measurements(view, number)], view.recipe()
        return best_round(rows, rejected_rounds(recipe.gates, recipe.rounds, rows), recipe.gates.select_by)
    if wanted.isdecimal() and int(wanted) in trained:
        return int(wanted)
    there = ", ".join(map(str, trained))
    raise StoreError(f"run {view.name!r}: round {wanted!r}; expected best, last or one of {there}")
