"""The pools of a run outside of it: prompts as its generator asked them, answers checked as its verifier does.

    pools.jsonl   the rows of the run's evaluation pools, gold answers and all
    task.json     what the run did with them: template, sampling, samples, verifier, markers of thinking

Neither inspect_ai nor lm-evaluation-harness is imported here.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from selfreward.engines.thinking import THINKING, split_reasoning
from selfreward.errors import DataError
from selfreward.recipe.code import CodeRecipe
from selfreward.records import Message, Prompt, from_line
from selfreward.roles import generator
from selfreward.tasks.source import EVALUATION_POOLS
from selfreward.tasks.verifiers.protocol import Truth, Verifier, load_verifier

ROWS, TOLD = "pools.jsonl", "task.json"


@dataclass(frozen=True)
class Told:
    """What task.json holds: of which run and round, and how that run asked and checked."""

    run: str
    round: int
    verifier: str
    code: Mapping[str, object]
    template: str
    samples: int
    temperature: float
    top_p: float
    max_tokens: int
    thinking: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


class Pool:
    """One evaluation pool in a directory that `selfreward export --tasks` made."""

    def __init__(self, directory: Path, name: str) -> None:
        if name not in EVALUATION_POOLS:
            raise DataError(f"pool {name!r} does not exist; expected one of {', '.join(EVALUATION_POOLS)}")
        given = json.loads((directory / TOLD).read_text(encoding="utf-8"))
        self.told = Told(**{**given, "thinking": tuple(tuple(pair) for pair in given["thinking"])})
        self.name = name
        lines = (directory / ROWS).read_text(encoding="utf-8").splitlines()
        rows = [from_line(Prompt, line, f"{ROWS}:{number}") for number, line in enumerate(lines, 1)]
        self.prompts = {row.id: row for row in rows if row.pool == name}
        self._verifier: Verifier = load_verifier(self.told.verifier, CodeRecipe(**self.told.code))  # type: ignore[arg-type]

    def asked(self, prompt: Prompt) -> tuple[Message, ...]:
        """The turns that the run's own generator was asked with."""
        return generator.ask(self.told.template, prompt)

    def truth(self, prompt_id: str, text: str) -> Truth:
        """What the run's verifier says of a reply, thoughts cut from it first as the run cuts them."""
        markers = [*self.told.thinking, *THINKING] if self.told.thinking else None
        return self._verifier.check(self.prompts[prompt_id], split_reasoning(text, markers=markers)[0])


@lru_cache(maxsize=8)
def pool_in(directory: str, name: str) -> Pool:
    """Read once, however often it is asked for."""
    return Pool(Path(directory), name)


def figures(truth: Truth) -> dict[str, float]:
    """One answer's numbers. One that the verifier leaves open is not right here, and counted; the run leaves it out."""
    return {"accuracy": float(truth.correct), "quality": truth.quality, "open": float(bool(truth.open))}
