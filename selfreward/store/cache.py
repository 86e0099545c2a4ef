"""Where what can be made again is kept between runs; deleting it costs time only.

$SELFREWARD_CACHE, else $XDG_CACHE_HOME/selfreward, else ~/.cache/selfreward.
"""

import os
from pathlib import Path


def cache_directory() -> Path:
    if named := os.environ.get("SELFREWARD_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "selfreward"
