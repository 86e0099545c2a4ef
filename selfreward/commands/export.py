"""A round's policy as a directory that any server of Hugging Face models loads, with a card that says what it is.

The card's numbers come from the run's own measurements, with their intervals; what used the oracle is marked.
"""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from selfreward import __version__
from selfreward.engines.handoff import HANDOFF_FILE
from selfreward.errors import StoreError
from selfreward.measuring.gates import SELECTIONS, best_round, rejected_rounds
from selfreward.recipe import to_yaml
from selfreward.records import Measurement
from selfreward.store.files import on_disk
from selfreward.store.view import RunView

# What a reader of the card asks first; all that the run measured stays in its measurements.jsonl.
CARD_POOLS = ("report", "frozen")
CAVEATS = (
    "Every policy is scored by a judge that is itself a policy of this run (`judge.model`), unless the recipe says "
    "otherwise: a higher judge mean can be a more generous judge. Rows marked oracle are against known truth.",
    "Intervals are 95 %, clustered by prompt, of this one run; they hold neither the spread between run seeds nor that "
    "between start models.",
    "Nothing here measures safety. Evaluate the model for the use that you have in mind.",
)


def export(view: RunView, number: int, out: Path) -> None:
    """Copy the policy of round `number` to `out`.

    Raises StoreError when `out` holds something, or the checkpoint is missing, pruned or not what was sealed.
    """
    with on_disk(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StoreError(f"{out}: exists and is not an empty directory; choose another --out or remove it")
    if number not in (kept := _kept(view)):
        raise StoreError(
            f"run {view.name!r}, round {number}: its weights were removed to save space (keep.checkpoints=needed). "
            f"Rounds whose weights are there: {', '.join(map(str, kept)) or 'none'}. To have all, run the recipe with "
            "keep.checkpoints=all under another --name"
        )
    checkpoint = view.read_directory(number, "checkpoint")
    card = model_card(view, number)
    with on_disk(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            # Copies, not links: the exported directory is its owner's to change, the run's bytes are not.
            for path in sorted(checkpoint.iterdir()):
                if path.is_file() and path.name != HANDOFF_FILE:
                    shutil.copyfile(path, beside / path.name)
            (beside / "README.md").write_text(card, encoding="utf-8")
            beside.chmod(0o755)
            beside.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _trained(view: RunView) -> list[int]:
    return [number for number in view.rounds() if view.seal(number, "checkpoint") is not None]


def _kept(view: RunView) -> list[int]:
    seals = {number: view.seal(number, "checkpoint") for number in _trained(view)}
    return [number for number, seal in seals.items() if seal is not None and not seal.pruned]


def resolve_round(view: RunView, wanted: str) -> int:
    """The number of the round that `wanted` (best, last or a number) names. Raises StoreError for any other."""
    trained = _trained(view)
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


def measurements(view: RunView, number: int) -> list[Measurement]:
    """What a round measured; nothing where it has not got there yet."""
    if view.seal(number, "measurements") is None:
        return []
    return view.read(number, "measurements", Measurement)


def model_card(view: RunView, number: int) -> str:
    """README.md of the exported directory, in the hub's form."""
    recipe = view.recipe()
    by = SELECTIONS[recipe.gates.select_by].said
    chosen = f"The best round is chosen on the selection pool by {by}; the report pool was not used to choose."
    sections = [
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n- selfreward\n- dpo\n---",
        f"# {view.name}, round {number}",
        _origin(view, number),
        "## Lineage\n\n"
        + _table(("round", "method", "pairs", "steps", "policy", "trained from", "reference"), _lineage(view, number)),
        "## Measured\n\n" + _measured(measurements(view, number)),
        "## Read this before you trust the numbers\n\n" + "\n".join(f"- {caveat}" for caveat in (*CAVEATS, chosen)),
        f"## Recipe\n\n```yaml\n{to_yaml(recipe).strip()}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _origin(view: RunView, number: int) -> str:
    """What was done to the start policy; nothing, where the weights are still its own."""
    start, seal = f"`{view.recipe().model.path}`", view.seal(number, "checkpoint")
    first = view.seal(0, "checkpoint")
    if number == 0 or (seal and first and seal.facts["digest"] == first.facts["digest"]):
        last = _trained(view)[-1]
        why = f" The run has {last} trained rounds; none of them was chosen." if number == 0 and last else ""
        return f"**Nothing was trained: these are the weights of the start policy {start}, unchanged.**{why}"
    return (
        f"Trained by selfreward {__version__} from {start}: the model answers prompts, scores its own answers, and is "
        "trained by DPO on the pairs that follow."
    )


def _lineage(view: RunView, number: int) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = []
    for earlier in _trained(view):
        seal = view.seal(earlier, "checkpoint")
        if seal is None or earlier > number:
            continue
        facts = seal.facts
        digests = (facts["digest"], facts["parent"], facts["reference"])
        rows.append(
            (earlier, facts["method"], facts["pairs"], facts["steps"], *(f"`{d[:16]}`" if d else "" for d in digests))
        )
    return rows


def _measured(rows: Iterable[Measurement]) -> str:
    shown = [row for row in rows if row.cohort == "all" and row.pool in CARD_POOLS and row.value is not None]
    if not shown:
        return "This round was not measured."
    cells = [
        (row.metric, row.pool, f"{row.value:.3f}", _interval(row), row.n, row.better, "oracle" if row.oracle else "")
        for row in shown
    ]
    return _table(("metric", "pool", "value", "95 % interval", "n", "better", ""), cells)


def _interval(row: Measurement) -> str:
    return "" if row.low is None or row.high is None else f"[{row.low:.3f}, {row.high:.3f}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
