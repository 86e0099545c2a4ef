"""Reading a run directory. Needs no lock: what carries a seal never changes.

results/<run>/recipe.yaml  run.json  journal.jsonl  round-NN/<artifact>.jsonl + <artifact>.done.json
"""

import json
import time
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from selfreward.errors import RecipeError, StoreError
from selfreward.recipe import Recipe
from selfreward.recipe.former import is_former, load_kept
from selfreward.recipe.text import read_yaml
from selfreward.records import from_line
from selfreward.store.files import digest_bytes, on_disk
from selfreward.store.seals import Seal, damage, damaged, read_seal, seal_path
from selfreward.store.sharing import is_locked

Row = TypeVar("Row")


class RunView:
    """A run directory to be read, by its path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return self.path.name

    def recipe(self) -> Recipe:
        """The recipe that the run was made with, all defaults written out."""
        try:
            return load_kept(self.path / "recipe.yaml")
        except RecipeError as problem:
            raise StoreError(
                f"run {self.name!r}: its recipe.yaml cannot be used any more ({problem}); it was edited or written by "
                "another version. Restore it or start another run with --name"
            ) from problem

    def is_former(self) -> bool:
        """Whether the run was made before the recipe had its keys of today: to be read and forked only."""
        return is_former(read_yaml(self.path / "recipe.yaml"))

    def info(self) -> dict[str, Any]:
        """run.json: seed, where it came from, and the environments it ran in."""
        path = self.path / "run.json"
        try:
            info = dict(json.loads(path.read_bytes()))
            if info:
                date.fromisoformat(str(info.get("day") or "2000-01-01")[:10])
                [(one["environment"], one["first_used"][:10]) for one in info["environments"]]
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError, RecursionError) as problem:
            found = f"{type(problem).__name__}: {problem!s:.100}"
            raise StoreError(f"{path}: not what a run writes there ({found}); restore it or delete it") from problem
        return info

    @property
    def day(self) -> date:
        """The date that the run's prompts hold where its chat template writes one: that of the run's begin.

        One for the whole run: on another day the model would be trained on prompts that it was never asked.
        """
        info = self.info()
        begun = [entry["first_used"] for entry in info.get("environments", [])]
        # Runs of versions that wrote no day were begun on that of their first environment.
        return date.fromisoformat(info.get("day") or (begun[0] if begun else time.strftime("%Y-%m-%d"))[:10])

    def is_held(self) -> bool:
        """Whether a process works on this run now, here or on another machine that shares the disk."""
        return is_locked(self.path / ".lock")

    def directory(self, round: int) -> Path:
        return self.path / f"round-{round:02d}"

    def rounds(self) -> list[int]:
        """The rounds that have been begun, in order."""
        names = (path.name.removeprefix("round-") for path in self.path.glob("round-*") if path.is_dir())
        return sorted(int(name) for name in names if name.isdecimal())

    def seal(self, round: int, artifact: str) -> Seal | None:
        """What is known about a finished artifact, or None."""
        return read_seal(seal_path(self.directory(round), artifact))

    def seals(self, round: int) -> list[Seal]:
        """Those of all finished artifacts of a round, by name."""
        paths = sorted(self.directory(round).glob("*.done.json"))
        return [seal for path in paths if (seal := read_seal(path)) is not None]

    def read(self, round: int, artifact: str, record: type[Row]) -> list[Row]:
        """The rows of a finished artifact. Raises StoreError if it is not finished, or torn or edited since."""
        path = self.directory(round) / f"{artifact}.jsonl"
        lines = enumerate(self._lines(round, artifact), start=1)
        return [from_line(record, line, f"{path}:{number}") for number, line in lines]

    def plain(self, round: int, artifact: str) -> list[dict[str, Any]]:
        """The same rows as JSON objects, of whatever kind they are."""
        return [json.loads(line) for line in self._lines(round, artifact)]

    def _lines(self, round: int, artifact: str) -> list[str]:
        path, seal = self.directory(round) / f"{artifact}.jsonl", self._finished(round, artifact)
        if not path.is_file():
            raise damaged(path, seal_path(path.parent, artifact), f"{path} is missing")
        with on_disk(path):
            data = path.read_bytes()
        lines = data.split(b"\n")[:-1]
        if digest_bytes(data) != seal.digest or len(lines) != seal.rows:
            reason = f"{path} has {len(lines)} rows and other bytes than were sealed ({seal.rows} rows)"
            raise damaged(path, seal_path(path.parent, artifact), reason)
        return [line.decode() for line in lines]

    def read_directory(self, round: int, artifact: str = "checkpoint") -> Path:
        """The path of a finished directory whose every file is what was sealed. Raises StoreError otherwise."""
        path, seal = self.directory(round) / artifact, self._finished(round, artifact)
        with on_disk(path):
            reason = damage(path, seal)
        if reason:
            raise damaged(path, seal_path(path.parent, artifact), reason)
        return path

    def events(self) -> list[dict[str, Any]]:
        """What happened here, in order (journal.jsonl); a line that a power cut tore, or no run wrote, is left out."""
        path = self.path / "journal.jsonl"
        found = []
        for line in path.read_bytes().split(b"\n") if path.exists() else []:
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict) and "event" in event:
                found.append(event)
        return found

    def _finished(self, round_number: int, artifact: str) -> Seal:
        seal = self.seal(round_number, artifact)
        if seal is None:
            raise StoreError(
                f"run {self.name!r}, round {round_number}, {artifact}: not finished; the same command goes on"
            )
        return seal
