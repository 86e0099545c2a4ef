"""The recipes that ship, by name: `selfreward run smoke` means recipes/smoke.yaml wherever one stands.

A wheel holds the folder `recipes/` as `selfreward/recipes/`; a checkout has it beside the package. A file that is there
always comes first, so a name never hides anybody's own recipe.
"""

import difflib
from pathlib import Path

import selfreward
from selfreward.errors import RecipeError

_PACKAGE = Path(selfreward.__file__).parent


def shipped(folder: str = ".") -> dict[str, Path]:
    """Name → file of every recipe that ships; `folder` is `grids` for the grids."""
    installed, checkout = _PACKAGE / "recipes", _PACKAGE.parent / "recipes"
    root = installed if installed.is_dir() else checkout
    return {path.stem: path for path in sorted((root / folder).glob("*.yaml"))}


def recipe_names(incomplete: str) -> list[str]:
    """For the shell: the recipes that ship whose names begin so."""
    return [name for name in shipped() if name.startswith(incomplete)]


def grid_names(incomplete: str) -> list[str]:
    """The same of the grids."""
    return [name for name in shipped("grids") if name.startswith(incomplete)]


def recipe_file(named: Path, folder: str = ".") -> Path:
    """The file that a command line means: a path, or the bare name of a recipe that ships.

    Raises RecipeError, naming the nearest, for a bare name that is neither. A path that is not there is returned as it
    is: reading it says what is wrong.
    """
    if named.exists() or named.name != str(named) or named.suffix in (".yaml", ".yml"):
        return named
    known = shipped(folder)
    if named.name in known:
        return known[named.name]
    nearest = difflib.get_close_matches(named.name, known, n=1, cutoff=0.3)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise RecipeError(
        f"recipe {str(named)!r}: no such file, and no recipe of that name ships{hint} (there are {', '.join(known)})"
    )
