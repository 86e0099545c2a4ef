"""A set of questions by its name.

    own:NAME     one that ships here (`OWN`)
    english:KIND a part of the English world (english/requests.py): held_out, unseen or plain
    adversarial:COHORT  harmful, benign or tempting requests with harmless placeholders (adversarial/requests.py)
    made:NAME    the held-out prompts of a made set: text_to_sql, false_refusals or summarise (tasks/made)
    KIND:PATH    a file of one of the kinds of `READERS`
    PATH         the same where the file's name begins with its kind (gsm8k_test.jsonl); else a prompt file

Raises DataError for a name or file that cannot be read, RecipeError for a set that has no prompts where they are asked.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from selfreward.errors import DataError, RecipeError
from selfreward.records import Prompt, stable_id
from selfreward.tasks.adversarial.requests import COHORTS, EXPECTED, draw_adversarial
from selfreward.tasks.english.requests import KINDS, Kind, draw_requests
from selfreward.tasks.made.source import SETS, made_prompts
from selfreward.tasks.prompts_file import read_prompts
from selfreward.tasks.sets import OWN, OWN_FOLDER, READERS

PROMPTS = "prompts"
"""The kind of a plain prompt file."""
VERIFIER_OF = {
    "gsm8k": "numeric",
    "ifeval": "ifeval",
    "mmlu": "choice",
    "bbh": "exact",
    "xstest": "refusal",
    "code_tasks": "code",
    "text_to_sql": "sql",
}
"""Kind of questions -> the verifier that reads what its rows bring; the others have none."""


@dataclass(frozen=True, slots=True)
class ProbeSet:
    """`rows` are what the kind's reader returns; `name` is what reports call it."""

    kind: str
    name: str
    rows: Sequence[Any]

    @property
    def prompts(self) -> list[Prompt]:
        """The questions, where the kind has them."""
        if not isinstance(self.rows[0], Prompt):
            raise RecipeError(
                f"the set {self.name!r} is of the kind {self.kind!r}, which has no single questions; expected a prompt "
                "file, or one of the kinds that `selfreward.tasks.sets.questions` reads"
            )
        return list(self.rows)

    @property
    def verifier(self) -> str:
        return VERIFIER_OF.get(self.kind, "none")


ENGLISH_PROMPTS = 300
"""How many prompts a set of the English world has."""


def _english(reference: str) -> ProbeSet:
    name = reference.removeprefix("english:")
    kinds: dict[str, Kind] = {kind: kind for kind in KINDS if kind != "train"}
    if name not in kinds:
        raise DataError(f"set {reference!r} does not exist; expected english:{', english:'.join(kinds)}")
    rows = draw_requests(kinds[name], ENGLISH_PROMPTS, "report", seed=1)
    return ProbeSet("prompts" if name == "plain" else "ifeval", name, rows)


def _adversarial(reference: str) -> ProbeSet:
    name = reference.removeprefix("adversarial:")
    if name not in COHORTS:
        raise DataError(f"set {reference!r} does not exist; expected adversarial:{', adversarial:'.join(COHORTS)}")
    drawn = draw_adversarial("held_out", ENGLISH_PROMPTS, "report", seed=1)
    # The kind says who grades: whether it is right to refuse, where the prompts say that.
    return ProbeSet("xstest" if name in EXPECTED else PROMPTS, name, [row for row in drawn if row.cohort == name])


def _made(reference: str) -> ProbeSet:
    name = reference.removeprefix("made:")
    if name not in SETS:
        raise DataError(f"set {reference!r} does not exist; expected made:{', made:'.join(SETS)}")
    kind = {verifier: kind for kind, verifier in VERIFIER_OF.items()}.get(SETS[name][1], PROMPTS)
    return ProbeSet(kind, name, made_prompts(name, held_out=True, pool="report"))


def read_set(reference: str) -> ProbeSet:
    if reference.startswith("own:"):
        name = reference.removeprefix("own:")
        if name not in OWN:
            raise DataError(
                f"probe set {reference!r} does not ship; expected one of own:{', own:'.join(OWN)}, or a file"
            )
        return ProbeSet(OWN[name], name, _read(OWN[name], OWN_FOLDER / f"{name}.jsonl"))
    if reference.startswith("english:"):
        return _english(reference)
    if reference.startswith("made:"):
        return _made(reference)
    if reference.startswith("adversarial:"):
        return _adversarial(reference)
    given, _, rest = reference.partition(":")
    path = Path(rest if given in READERS else reference)
    kinds = [given] if given in READERS else sorted((k for k in READERS if path.name.startswith(k)), key=len)
    if not kinds:
        return ProbeSet(PROMPTS, path.stem, read_prompts(path, "report"))
    return ProbeSet(kinds[-1], path.stem, _read(kinds[-1], path))


def _read(kind: str, path: Path) -> Sequence[Any]:
    module, attribute = READERS[kind].split(":")
    rows: Sequence[Any] = getattr(importlib.import_module(module), attribute)(path)
    return rows


Item = TypeVar("Item")


def some(rows: Sequence[Item], count: int | None) -> list[Item]:
    """`count` of the rows by a hash of their ids, in their order; all where that is null or there are no more."""
    if count is None or len(rows) <= count:
        return list(rows)
    ids = [str(getattr(row, "id")) for row in rows]  # noqa: B009 - rows of several kinds, all with an id
    chosen = set(sorted(range(len(rows)), key=lambda index: stable_id("some", ids[index]))[:count])
    return [row for index, row in enumerate(rows) if index in chosen]
