"""Doors for other people's code: what a recipe names is looked up here, and nowhere else.

    known name          one of a plain dict of this package
    module:object       anything that can be imported
    path/file.py:object a file of your own
    entry:NAME          what an installed package offers under the entry point group `selfreward.<kind>`

Naming code in a recipe runs it: a recipe is to be read before it is run, like any program. What it found has a version
for fingerprints: the hash of the file that it stands in, so that changed code is another verifier, metric or rule.
"""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import Field

from selfreward.errors import RecipeError

ENTRY = "entry:"
Foreign = Annotated[
    str, Field(pattern=r"^[^:]+:[^:]+$", description="module:object, FILE.py:object or entry:NAME of your own")
]
"""The type of a key that takes the name of somebody's own code."""
Options = dict[str, Annotated[int | float | str, Field(union_mode="left_to_right")]]
"""What that code reads itself: numbers where they are numbers, else text."""


def is_foreign(name: str) -> bool:
    return ":" in name


def load(kind: str, name: str, known: Mapping[str, str]) -> Any:
    """The object that `name` stands for, `kind` being verifiers, metrics, pair_rules or trainers.

    Raises RecipeError that says which name, what was looked for and what there is.
    """
    if not is_foreign(name):
        if name not in known:
            raise RecipeError(f"{kind}: {name!r} is not known; expected one of {', '.join(sorted(known))}, {_FORMS}")
        name = known[name]
    if name.startswith(ENTRY):
        return _entry_point(kind, name.removeprefix(ENTRY))
    where, _, attribute = name.rpartition(":")
    module = _file(Path(where), kind, name) if where.endswith(".py") else _module(where, kind, name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise RecipeError(f"{kind}: {name!r}: {where} has no {attribute!r}; correct the name after the colon") from None


_FORMS = "module:object, FILE.py:object or entry:NAME"


def require_call(kind: str, name: str, *arguments: str) -> None:
    """Raise RecipeError, before a run, for an object that cannot be called with these arguments."""
    found = load(kind, name, {})
    try:
        inspect.signature(found).bind(*arguments)
    except (TypeError, ValueError) as problem:
        asked = f"name({', '.join(arguments)})"
        raise RecipeError(f"{kind}: {name!r} cannot be called as {asked} ({problem}); expected a function") from problem


def identity(kind: str, name: str, known: Mapping[str, str]) -> str:
    """What stands for `name` in a fingerprint: the name, and for foreign code the hash of its file."""
    if not is_foreign(name):
        return name
    found = load(kind, name, known)
    try:
        file = inspect.getsourcefile(found if inspect.isroutine(found) or inspect.isclass(found) else type(found))
    except TypeError:  # built into the interpreter
        file = None
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file else "no file"
    return f"{name}@{digest}"


def _module(where: str, kind: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(where)
    except ImportError as problem:
        file = Path(f"{where}.py")
        instead = f"write {file}:{name.partition(':')[2]} for the file here" if file.is_file() else "correct the name"
        raise RecipeError(
            f"{kind}: {name!r}: {where} cannot be imported ({problem}); install it, or {instead}"
        ) from problem


def _file(path: Path, kind: str, name: str) -> ModuleType:
    """The module of a file, once per file: classes of two loads would not be each other's."""
    path = path.resolve()
    called = f"selfreward_door_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    if called in sys.modules:
        return sys.modules[called]
    spec = importlib.util.spec_from_file_location(called, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise RecipeError(f"{kind}: {name!r}: there is no file {path.name}; correct the path before the colon")
    module = importlib.util.module_from_spec(spec)
    sys.modules[called] = module
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as problem:
        del sys.modules[called]
        raise RecipeError(f"{kind}: {name!r}: {path.name} cannot be loaded ({problem})") from problem
    return module


def _entry_point(kind: str, name: str) -> Any:
    group = f"selfreward.{kind}"
    offered = {point.name: point for point in entry_points(group=group)}
    if name not in offered:
        there = ", ".join(sorted(offered)) or "none"
        raise RecipeError(
            f"{kind}: no installed package offers {name!r} under the entry point group {group!r}; there are: {there}"
        )
    try:
        return offered[name].load()
    except (ImportError, AttributeError) as problem:
        raise RecipeError(f"{kind}: the entry point {name!r} cannot be loaded ({problem})") from problem
