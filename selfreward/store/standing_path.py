"""The path that an engine which compiles is built on: one for each architecture, whichever checkpoint comes first.

vLLM keeps what it compiled under a hash in which the path of the model stands. A run that goes on begins with another
checkpoint than the one before, and every run with a path of its own: each of them would compile anew, a minute or more.
So what compiles is built on a link in the cache, which leads to the checkpoint of the day while vLLM reads it. Weights
of later rounds come by their own path, and the hand-off is verified against that, never against the link.

Two runs of one architecture build one after the other: a link that moved under a reading vLLM would give it the other
run's weights.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selfreward.store.cache import cache_directory
from selfreward.store.files import on_disk
from selfreward.store.sharing import locked


@contextmanager
def standing_path(directory: Path, architecture: Mapping[str, Any]) -> Iterator[Path]:
    """The path of this architecture, which leads to `directory` for the time of the block.

    Raises StoreError where the cache cannot be written.
    """
    name = hashlib.sha256(json.dumps(architecture, sort_keys=True, default=str).encode()).hexdigest()[:16]
    path = cache_directory() / "vllm" / name
    with on_disk(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{name}.lock")):
        with on_disk(path):
            _point(path, directory.absolute())
        yield path


def _point(path: Path, directory: Path) -> None:
    """Make `path` a link to `directory` by one rename."""
    beside = path.with_name(f"{path.name}.tmp")
    beside.unlink(missing_ok=True)
    beside.symlink_to(directory, target_is_directory=True)
    beside.replace(path)
