"""selfreward: self-rewarding iterative DPO, on one device or several, measured as to whether it helped."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfreward.commands.python_api import OpenedRun, open_run, run
    from selfreward.recipe.read import load_recipe

__version__ = "0.2.0"
__all__ = ["OpenedRun", "load_recipe", "open_run", "run"]

_WHERE = {
    "OpenedRun": "selfreward.commands.python_api",
    "open_run": "selfreward.commands.python_api",
    "run": "selfreward.commands.python_api",
    "load_recipe": "selfreward.recipe.read",
}


def __getattr__(name: str) -> Any:
    """The public names are imported when they are first wanted: the command must start at once."""
    if name not in _WHERE:
        raise AttributeError(f"module 'selfreward' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
