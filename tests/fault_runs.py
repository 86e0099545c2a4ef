"""What tries the rows of K5 about kept weights and exported policies, and of K8 about names in a run's files."""

import contextlib
import dataclasses
import fnmatch
import getpass
import io
import json
import os
import platform
import re
import socket
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from fault_places import ROOT, Row, found

from selfreward.recipe import Recipe
from selfreward.records import Checkpoint, Drop, Measurement

SMOKE = ROOT.parent / "recipes" / "smoke.yaml"
NAMES = {"host": "ada-workstation", "user": "ada.lovelace", "home": "/home/ada.lovelace"}
"""What a machine is made to tell of itself while the run of `_texts` is written."""


def _recipe(keys: Iterable[str]) -> Any:
    return found("selfreward.recipe.read", "selfreward.config").load_recipe(SMOKE, list(keys))


def _gain(number: int, gain: float) -> Measurement:
    """What the selection reads: a paired change whose interval is narrow."""
    bounds = (gain, gain - 0.01, gain + 0.01)
    return Measurement(number, "p", "judge_mean_change", "all", "selection", *bounds, 100, 0, "higher")


def k5_kept(row: Row) -> str:
    """Whose weights stay, of a policy for each of the gains. Keys as they were then are `former`."""
    place = found("selfreward.measuring.verdicts", "selfreward.steps")
    today = hasattr(place, "discard_unneeded_checkpoints")
    gains, rejected = row["gains"], set(row.get("rejected", ()))
    keys = row["keys"] if today else row.get("former", row["keys"])
    recipe = _recipe(["keep.checkpoints=needed", f"rounds={len(gains) - 1}", *keys])
    cast = found("selfreward.roles.cast", "selfreward.cast").Cast(recipe, lambda *_: None)
    cast.policies += [None] * len(gains)
    cast.starts |= {int(number): start for number, start in row.get("starts", {}).items()}
    measured, gone = [_gain(number, gain) for number, gain in enumerate(gains)], set[int]()
    told = {"recipe": recipe, "cast": cast, "artifacts": SimpleNamespace(discard_weights=gone.add)}
    if today:
        place.discard_unneeded_checkpoints(SimpleNamespace(**told), measured, rejected)
    else:
        steps = SimpleNamespace(**told, measurements=measured, rejected=rejected)
        place.Steps.discard_unneeded_checkpoints(steps)
    kept = sorted({*range(len(gains))} - gone)
    return "" if kept == row["kept"] else f"kept {kept}; expected {row['kept']}"


def k5_export(row: Row) -> str:
    """The card and the command's words for the policy of a round: what trained it, or that nothing did."""
    command = found("selfreward.commands.wiring.policies", "selfreward.cli").export
    with tempfile.TemporaryDirectory() as made:
        root, out = Path(made) / "results", Path(made) / "out"
        with _store(root, share=False).open_run("r", _recipe(row["keys"]), environment={}) as run:
            for number, (policy, gain) in enumerate(zip(row["policies"], row["gains"], strict=True)):
                run.complete_directory(number, "checkpoint", {"n": number}, _policy(number, policy, row["policies"]))
                run.complete(_work(number, "measurements", Measurement, [_gain(number, gain)]))
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            command("r", round_wanted=row["round"], out=out, results=root)
        card = " ".join((out / "README.md").read_text(encoding="utf-8").split())
    claims = set(re.findall(r"[Tt]rained (?:by selfreward \S+ from `[^`]*` )?by ([A-Z_]+)", card))
    if claims != ({row["trained_by"]} if row["trained_by"] else set()):
        return f"the card says trained by {claims or 'nothing'}; expected {row['trained_by']}"
    wrong = [
        name
        for name, text in (("the card", card), ("the command", said.getvalue()))
        if ("othing was trained" in text) == bool(row["trained_by"])
    ]
    return f"{' and '.join(wrong)} must {'not ' if row['trained_by'] else ''}say that nothing was trained" * bool(wrong)


def k8_names(row: Row) -> str:
    """Whether the files of a run tell whose machine it was."""
    texts = {name: text for name, text in _texts().items() if fnmatch.fnmatchcase(name, row["file"])}
    if not texts:
        return f"no file is called {row['file']}"
    told = [name for name, text in texts.items() if NAMES[row["name"]] in text]
    return f"{told[0]} has the {row['name']}'s name" if told else ""


@lru_cache(maxsize=1)
def _texts() -> Mapping[str, str]:
    """Relative name -> text of all files of a run that was sealed, cut, pruned and forked on the machine of `NAMES`."""
    environment = found("selfreward.commands.environment", "selfreward.environment").environment
    with tempfile.TemporaryDirectory() as made, _machine():
        store, recipe = _store(Path(made), share=True), Recipe()
        with store.open_run("r", recipe, environment=environment(recipe)) as run:
            for number in (1, 2):
                run.complete(_work(number, "dropped", Drop, [Drop("d", "pairs", "answer", str(number), "tie")]))
                run.complete_directory(number, "checkpoint", {"n": number}, _policy(number, str(number), "0123"))
            _name_the_host(run.directory(2) / "checkpoint.done.json")
            run.discard_weights(2)
            with contextlib.suppress(InterruptedError):
                run.complete(_work(3, "dropped", Drop, [Drop("d", "pairs", "answer", "3", "tie")], cut=True))
        store.fork("r", 1, "f", recipe, environment(recipe))
        files = [path for path in Path(made).rglob("*") if path.is_file()]
        return {str(path.relative_to(made)): path.read_text(encoding="utf-8", errors="replace") for path in files}


@contextlib.contextmanager
def _machine() -> Any:
    """Every place that says which machine this is, and whose."""
    whole = platform.uname()
    named = platform.uname_result(whole.system, NAMES["host"], whole.release, whole.version, whole.machine)
    told = {"HOSTNAME": NAMES["host"], "HOME": NAMES["home"], "USER": NAMES["user"], "LOGNAME": NAMES["user"]}
    with (
        patch.object(platform, "uname", lambda: named),
        patch.object(platform, "node", lambda: NAMES["host"]),
        patch.object(socket, "gethostname", lambda: NAMES["host"]),
        patch.object(socket, "getfqdn", lambda *_: NAMES["host"]),
        patch.object(getpass, "getuser", lambda: NAMES["user"]),
        patch.dict(os.environ, told),
    ):
        yield


def _name_the_host(seal: Path) -> None:
    """A seal as earlier versions wrote it."""
    told = {**json.loads(seal.read_text(encoding="utf-8")), "host": NAMES["host"]}
    seal.unlink()
    seal.write_text(json.dumps(told), encoding="utf-8")


def _store(root: Path, share: bool) -> Any:
    return found("selfreward.store.results", "selfreward.store").Store(root, share=share)


def _work(number: int, artifact: str, record: type, rows: Sequence[Any], cut: bool = False) -> Any:
    """Work that stores `rows`; with `cut` it is interrupted before the second of two chunks."""

    def compute(chunk: Sequence[Any], index: int) -> Sequence[Any]:
        if index:
            raise InterruptedError
        return chunk

    work = found("selfreward.store.run", "selfreward.runs").Work
    return work(number, artifact, record, {"n": number}, [rows, rows] if cut else [rows], compute)


def _policy(number: int, digest: str, policies: Sequence[str]) -> Callable[[Path, Path], Mapping[str, Any]]:
    """A directory like a checkpoint's. Policies of one digest are one policy."""
    parent = policies[max(0, number - 1)]
    facts = Checkpoint(number, digest, parent, parent, "dpo" if number else "start", steps=7, pairs=11)

    def build(out: Path, scratch: Path) -> Mapping[str, Any]:
        (out / "config.json").write_text("{}")
        (out / "model.safetensors").write_text(digest)
        return dataclasses.asdict(facts)

    return build
