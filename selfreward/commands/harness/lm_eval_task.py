"""What a task of lm-evaluation-harness names: the documents of a pool, the text that is asked, the grades of replies.

That program asks with one user's turn, after one system text for all (`description`); a pool with other turns has no
such task (`one_turn`). A document's replies are graded each, and the mean is the document's.
"""

from collections.abc import Sequence
from typing import Any

from selfreward.commands.harness.pool import Pool, figures, pool_in


def one_turn(pool: Pool) -> str | None:
    """The system text that is in front of every prompt ("" for none), or None where they cannot be asked so."""
    turns = [pool.asked(prompt) for prompt in pool.prompts.values()]
    if any([turn.role for turn in asked if turn.role != "system"] != ["user"] for asked in turns):
        return None
    systems = {"".join(turn.content for turn in asked if turn.role == "system") for asked in turns}
    return systems.pop() if len(systems) == 1 else None


def documents(directory: str, name: str) -> Any:
    """Split → data set, as the program wants it of a task's own."""
    from datasets import Dataset

    pool = pool_in(directory, name)
    rows = [
        {"id": prompt.id, "asked": pool.asked(prompt)[-1].content, "cohort": prompt.cohort}
        for prompt in pool.prompts.values()
    ]
    return {"test": Dataset.from_list(rows)}


def grades(directory: str, name: str, document: dict[str, Any], results: Sequence[Any]) -> dict[str, float]:
    """The means over one document's replies. `results` has one entry for a request: its replies, or the only one."""
    replies = [results[0]] if isinstance(results[0], str) else list(results[0])
    pool = pool_in(directory, name)
    found = [figures(pool.truth(document["id"], reply)) for reply in replies]
    return {key: sum(one[key] for one in found) / len(found) for key in found[0]}
