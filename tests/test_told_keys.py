"""What rows are made from is told by the recipe's keys: one that comes later must be silent at its default.

`told_keys.txt` holds every section's keys as runs have been made with them. A new key of a section that stands there is
declared `later=True`, or every run that was begun without it is refused; a new section is added with its keys.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import selfreward.recipe as recipe
from selfreward.recipe.section import Section, as_dict

KNOWN = Path(__file__).parent / "told_keys.txt"


def told() -> dict[str, set[str]]:
    def classes(kind: type) -> Iterator[type]:
        for child in kind.__subclasses__():
            if child.__module__.startswith("selfreward.recipe"):
                yield child
            yield from classes(child)

    found: dict[str, set[str]] = {}
    for kind in classes(Section):
        if dataclasses.is_dataclass(kind):
            extras = {name: field.json_schema_extra or {} for name, field in kind.__pydantic_fields__.items()}  # type: ignore[attr-defined]
            found[kind.__name__] = {name for name, extra in extras.items() if not extra.get("later")}
    return found


def test_a_key_that_runs_were_made_without_is_silent_at_its_default() -> None:
    known: dict[str, set[str]] = {}
    for line in KNOWN.read_text().split():
        section, _, key = line.partition(".")
        known.setdefault(section, set()).add(key)
    assert len(known) > 40
    added = {f"{section}.{key}" for section, keys in told().items() for key in keys - known.get(section, keys)}
    assert not added, f"declare {sorted(added)} with later=True, so that runs that were begun before go on"


def test_a_later_key_is_told_where_it_says_something() -> None:
    plain, several = recipe.DpoRecipe(), recipe.DpoRecipe(processes=2)
    assert "processes" not in as_dict(plain)
    assert as_dict(several) == as_dict(plain) | {"processes": 2}
