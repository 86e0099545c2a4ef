"""A reference to a model: who plays a role. It is parsed when the recipe is read, and nowhere else.

    policy          the round's start              previous        the same, said of a reference
    initial         the policy of round 0          round:K         that of round K
    earlier         those of earlier rounds        reward_model    the one that this run trains
    sandbox:NAME    a model of the sandbox         served:NAME     a model behind a server
    anything else   a directory, and for `model.path` also an adapter's or org/name[@revision] on the hub

It stays the text that stood in the recipe: so it is written, compared and digested. Which role may name what is the
recipe's checks' business, for only they know the key.
"""

from typing import Any, Literal, Self, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

Named = Literal["policy", "previous", "initial", "earlier", "reward_model"]
Kind = Literal[Named, "round", "sandbox", "served", "directory"]

PREFIXES: dict[str, Kind] = {"round:": "round", "sandbox:": "sandbox", "served:": "served"}


class ModelReference(str):
    """`kind` says what is named, `name` what follows the colon, or the directory."""

    kind: Kind
    name: str

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.kind, made.name = _parsed(made)
        return made

    @property
    def number(self) -> int | None:
        """K of `round:K`; None for another kind, and for what is no number."""
        return int(self.name) if self.kind == "round" and self.name.isdecimal() else None

    @property
    def server(self) -> str | None:
        """The name in the section `served`; None for another kind."""
        return self.name if self.kind == "served" else None

    @property
    def of_run(self) -> bool:
        """Whether it is a policy of the run itself, whose weights nothing outside of it holds."""
        return self.kind in ("policy", "previous", "initial", "earlier", "round")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, handler(str))


def _parsed(text: str) -> tuple[Kind, str]:
    for named in get_args(Named):
        if text == named:
            return named, ""
    for prefix, kind in PREFIXES.items():
        if text.startswith(prefix):
            return kind, text[len(prefix) :]
    return "directory", str(text)


POLICY, INITIAL, PREVIOUS = ModelReference("policy"), ModelReference("initial"), ModelReference("previous")
REWARD_MODEL = ModelReference("reward_model")
