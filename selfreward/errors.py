"""Everything that selfreward raises on purpose.

    SelfRewardError                      exit code
    ├── RecipeError     the recipe is wrong              2
    ├── DataError       a file or a row is wrong         3
    ├── StoreError      a run directory is not usable    4
    │   └── RunBusyError another process works on it      5
    ├── HandOffError    the engine holds other weights   6
    ├── EngineError     text could not be generated      7
    │   └── NotOneTokenError a word is several tokens     7
    ├── TrainingError   training cannot go on            8
    ├── GateError       a gate stopped the run           9
    ├── LimitError      a limit of the recipe is reached 10
    └── StoppedError    Ctrl-C or SIGTERM              130

A message says which row or key, what was there, what was expected and what to do.
"""

import difflib
from pathlib import Path


class SelfRewardError(Exception):
    """Base of the errors that a user can do something about; `exit_code` is what the command exits with."""

    exit_code = 1


class RecipeError(SelfRewardError):
    """A recipe key is unknown, of the wrong type, or holds a value that cannot work."""

    exit_code = 2


class DataError(SelfRewardError):
    """A prompt file, model directory or tokenizer that the recipe names cannot be used."""

    exit_code = 3


class StoreError(SelfRewardError):
    """A run directory is torn, edited, made by another recipe, or cannot be written."""

    exit_code = 4


class RunBusyError(StoreError):
    """Another process holds the run directory."""

    exit_code = 5


class HandOffError(SelfRewardError):
    """The engine does not hold the weights that the trainer wrote, or a reference is not the intended one."""

    exit_code = 6


class EngineError(SelfRewardError):
    """The engine could not produce text.

    `too_long` names the requests that do not fit into the context; nothing was sampled then. For an answer that ends
    the run, since prompts are checked before it begins. A judge's question holds an answer whose length nobody knew:
    its stage asks the others and keeps an unreadable verdict for these (judging/asking.py).
    """

    exit_code = 7

    def __init__(self, message: str, too_long: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.too_long = too_long


class NotOneTokenError(EngineError):
    """A word whose probability was asked for is several tokens of this tokenizer."""

    exit_code = 11


class TrainingError(SelfRewardError):
    """Training cannot go on: no pair is left, or the loss is not finite."""

    exit_code = 8


class GateError(SelfRewardError):
    """A gate of the recipe stopped the run, for example because too many verdicts were unreadable."""

    exit_code = 9


class LimitError(SelfRewardError):
    """Hours, tokens or cost that the recipe allows are spent: nothing half is sealed; the message says how to go on."""

    exit_code = 10


class StoppedError(SelfRewardError):
    """Ctrl-C or SIGTERM: nothing that is not whole was sealed; the same command goes on."""

    exit_code = 130


def beside(path: Path) -> str:
    """A hint at what has nearly the name of a path that is not there; nothing where nothing has."""
    try:
        names = sorted(other.name for other in path.parent.iterdir())
    except OSError:  # no directory, or one that may not be read: there is nothing to hint at
        return ""
    nearest = difflib.get_close_matches(path.name, names, n=1, cutoff=0.7)
    return f"; did you mean {str(path.with_name(nearest[0]))!r}?" if nearest else ""
