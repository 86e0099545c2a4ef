"""Where a name is on the code that is tried: today's place, or where an older checkout had it."""

import importlib
from pathlib import Path
from typing import Any

import selfreward

Row = dict[str, Any]
ROOT = Path(selfreward.__file__).parent


def found(*places: str) -> Any:
    """The first of the modules, or of their attributes ("module:name"), that this checkout has."""
    for place in places:
        module, _, name = place.partition(":")
        file = ROOT.joinpath(*module.split(".")[1:])
        # An installed copy's finder would find what an older checkout lacks in the installed one.
        if file.is_dir() or file.with_suffix(".py").exists():
            there = importlib.import_module(module)
            return getattr(there, name) if name else there
    raise LookupError(f"none of {places} is there")
