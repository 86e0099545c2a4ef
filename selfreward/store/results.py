"""The results directory: opening, forking and reading runs, and the store they share.

A run is resumed by the same command. Its recipe's identity keys may not change (the field is named), its horizon keys
may; one process works on it at a time; the environments it ran in are recorded, and refused only where a fingerprint
says that they matter.
"""

import json
import os
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from selfreward.errors import RunBusyError, StoreError
from selfreward.recipe import Recipe, identity, to_yaml
from selfreward.store.files import link_or_copy, on_disk, remove, write_durably
from selfreward.store.run import Progress, Run, Work
from selfreward.store.seals import Seal, read_seal, seal_path, shorten
from selfreward.store.sharing import GcReport, SharedStore, link_tree, locked
from selfreward.store.view import RunView

__all__ = ["GcReport", "Progress", "Run", "RunView", "Seal", "Store", "Work"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]*")


class Store:
    """All runs under `root`. With `share`, artifacts that are equal in two runs are computed once."""

    def __init__(self, root: Path, *, share: bool = True) -> None:
        self.root = root
        self._shared = SharedStore(root / ".store")
        self._share = share

    def open_run(
        self, name: str, recipe: Recipe, *, environment: Mapping[str, Any], progress: Progress | None = None
    ) -> Run:
        """Begin a run or go on with it, as its only process.

        Raises RunBusyError if another process works on it, StoreError if it was made by another recipe.
        """
        path = self._path(name)
        with on_disk(path):
            path.mkdir(parents=True, exist_ok=True)
        lock = ExitStack()
        try:
            self._hold(path, lock)
            _keep_recipe(RunView(path), recipe)
            _keep_environment(RunView(path), recipe, environment)
            return Run(path, self._shared if self._share else None, lock, progress)
        except BaseException:
            lock.close()
            raise

    def existing(self, name_or_path: str | Path) -> RunView:
        """A run by its name here or by the path of its directory, to be read."""
        for path in (self.root / name_or_path, Path(name_or_path)):
            if (path / "recipe.yaml").is_file():
                return RunView(path)
        known = sorted(path.parent.name for path in self.root.glob("*/recipe.yaml"))
        raise StoreError(f"no run {str(name_or_path)!r} in {self.root}; there are: {', '.join(known) or 'none'}")

    def fork(
        self,
        source: str,
        round: int,
        name: str,
        recipe: Recipe,
        environment: Mapping[str, Any],
    ) -> None:
        """Begin run `name` with rounds 0..`round` of `source` hard-linked, whatever the recipe says about them."""
        view, path = self.existing(source), self._path(name)
        if path.exists():
            raise StoreError(f"{path}: exists; expected a new name for the fork")
        if round not in view.rounds():
            raise StoreError(f"run {source!r} has no round {round}; it has {view.rounds()}")
        for number in range(round + 1):
            unfinished = sorted(view.directory(number).glob("*.part"))
            if unfinished:
                raise StoreError(
                    f"{unfinished[0]}: round {number} of {source!r} is not finished; finish it or fork an earlier round"
                )
        with on_disk(path):
            beside = Path(tempfile.mkdtemp(prefix=f".fork-{name}-", dir=self.root))
            try:
                inherited = _link_rounds(view, round, RunView(beside))
                _keep_recipe(RunView(beside), recipe)
                origin = {"run": view.name, "round": round, "artifacts": inherited}
                _keep_environment(RunView(beside), recipe, environment, origin, view.day.isoformat())
                beside.chmod(0o755)
                beside.rename(path)
            finally:
                remove(beside)

    def gc(self) -> GcReport:
        """Remove from the shared store what no run links."""
        return self._shared.gc()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise StoreError(f"run name {name!r}: expected letters, digits and any of . _ + = - (no slash)")
        return self.root / name

    def _hold(self, path: Path, lock: ExitStack) -> None:
        """Take the run's lock and write our pid into it; the system frees it when this process ends, however."""
        file = path / ".lock"
        with on_disk(file):
            if not lock.enter_context(locked(file, wait=False)):
                holder = file.read_text().strip() or "unknown"
                raise RunBusyError(
                    f"run {path.name!r}: process {holder} is working on it. Wait for it, end it, or use another --name"
                )
            file.write_text(f"{os.getpid()}\n")


def _keep_recipe(view: RunView, recipe: Recipe) -> None:
    """Write the resolved recipe, or compare it with the one that the run was made with."""
    path = view.path / "recipe.yaml"
    if path.exists():
        if view.is_former():
            raise StoreError(
                f"run {view.name!r} was made by an earlier version, whose recipe had other keys; it can be read, but "
                f"not gone on with: `selfreward fork {view.name}@ROUND --name NEW`, or start another run with --name"
            )
        old, new = identity(view.recipe()), identity(recipe)
        for key in sorted(set(old) | set(new)):
            if old.get(key) != new.get(key):
                raise StoreError(
                    f"run {view.name!r} was made with {key}={shorten(old.get(key))}, now it is {key}="
                    f"{shorten(new.get(key))}. Only horizon keys may change (such as rounds): go back to the old "
                    f"value, start another run with --name, or `selfreward fork {view.name}@ROUND {key}=…`"
                )
    text = to_yaml(recipe).encode()
    with on_disk(path):
        if not path.exists() or path.read_bytes() != text:
            write_durably(path, text)


def _keep_environment(
    view: RunView,
    recipe: Recipe,
    environment: Mapping[str, Any],
    forked_from: Mapping[str, Any] | None = None,
    day: str | None = None,
) -> None:
    """Write run.json, or add this environment to it if the run has not been in it before.

    `day` is the date of a new run, today where none is given; it stays when the run goes on (RunView.day).
    """
    new: dict[str, Any] = {"seed": recipe.seed, "forked_from": forked_from, "environments": []}
    info = view.info() or {**new, "day": day or time.strftime("%Y-%m-%d")}
    plain = json.loads(json.dumps(environment, sort_keys=True))
    if any(entry["environment"] == plain for entry in info["environments"]):
        return
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    info["environments"].append({"first_used": now, "environment": plain})
    with on_disk(view.path):
        write_durably(view.path / "run.json", (json.dumps(info, indent=2, sort_keys=True) + "\n").encode())


def _link_rounds(source: RunView, last: int, target: RunView) -> dict[str, str]:
    """Link every sealed artifact of rounds 0..`last`; returns "round/artifact" → digest."""
    inherited = {}
    for number in range(last + 1):
        target.directory(number).mkdir(parents=True)
        for done in sorted(source.directory(number).glob("*.done.json")):
            artifact, seal = done.name.removesuffix(".done.json"), read_seal(done)
            if seal is None:
                continue
            file_name = artifact if seal.files is not None else f"{artifact}.jsonl"
            link_tree(source.directory(number) / file_name, target.directory(number) / file_name, seal)
            link_or_copy(done, seal_path(target.directory(number), artifact))
            inherited[f"{number}/{artifact}"] = seal.digest
    return inherited
