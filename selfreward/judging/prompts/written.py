"""Reading rubrics and constitutions: YAML files of named texts with an id and a version, shipped or the user's own.

The version that stands on every row is `id.version@hash of the file's content`, so an edited file is another version
even where nobody raised the number. A file without an id or a version is refused: its rows could not be told apart.
"""

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from selfreward.errors import RecipeError


def read_written(name: str, folder: str, listed: str) -> tuple[str, list[dict[str, Any]], str]:
    """(version, the entries of `listed`, where it was read) of a shipped name or a path to a YAML file.

    Raises RecipeError that says which part is missing or wrong.
    """
    shipped = files(__package__) / folder
    path = Path(name) if name.endswith((".yaml", ".yml")) else None
    try:
        text = path.read_text(encoding="utf-8") if path else (shipped / f"{name}.yaml").read_text(encoding="utf-8")
    except OSError as problem:
        known = ", ".join(sorted(Path(item.name).stem for item in shipped.iterdir()))
        raise RecipeError(f"{folder} {name!r}: not found; expected one of {known}, or a .yaml file") from problem
    except UnicodeDecodeError as problem:
        raise RecipeError(
            f"{folder} {name!r}: not UTF-8 text (byte {problem.start}); save the file as UTF-8"
        ) from problem
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as problem:
        raise RecipeError(f"{folder} {name!r}: not valid YAML: {' '.join(str(problem).split())}") from problem
    where = f"{folder} {name!r}"
    if not isinstance(content, dict):
        raise RecipeError(f"{where}: expected a mapping with id, version and {listed}")
    for key in ("id", "version"):
        if content.get(key) in (None, ""):
            raise RecipeError(f"{where}: has no {key}; every row names both, so give it one")
    unknown = sorted(content.keys() - {"id", "version", listed})
    if unknown:
        raise RecipeError(f"{where}: unknown key {unknown[0]!r}; expected id, version, {listed}")
    entries = named_entries(content.get(listed), listed, where)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return f"{content['id']}.{content['version']}@{digest}", entries, where


def named_entries(entries: Any, listed: str, where: str) -> list[dict[str, Any]]:
    """A list of mappings, each with a name of its own and a text. Raises RecipeError for anything else."""
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise RecipeError(f"{where}: expected a list {listed!r} of mappings that is not empty")
    names = [entry.get("name") for entry in entries]
    for entry, called in zip(entries, names, strict=True):
        if not isinstance(called, str) or not called.isidentifier() or names.count(called) > 1:
            raise RecipeError(f"{where}: name {called!r} of {listed}; expected one word, used once")
        if not isinstance(entry.get("text"), str) or not entry["text"].strip():
            raise RecipeError(f"{where}: {called!r} has no text")
    return entries
