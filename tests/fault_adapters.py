"""What tries a row of the fault corpus (`faults/`), on this code and on older checkouts: one adapter for each kind.

Each returns what is wrong, or "" where the row is right. Names are looked up where they are today and where they were,
so that `python benchmarks/fault_corpus.py OLD NEW` runs the same rows on both.
"""

import importlib
import inspect
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from fault_places import ROOT, Row, found
from fault_runs import k5_export, k5_kept, k8_names
from fault_shown import k5_served, k8_shown, k9_overlap, obeyed

from selfreward.errors import DataError
from selfreward.records import Message, Prompt

RUBRIC = "helpfulness"


@lru_cache(maxsize=1)
def database() -> str:
    """A table t with the one column x and three rows."""
    path = Path(tempfile.mkdtemp()) / "t.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('a'), ('b'), ('c');")
    return str(path)


@lru_cache(maxsize=16)
def verifier(name: str) -> Any:
    known = found("selfreward.tasks.verifiers:VERIFIERS", "selfreward.verifiers:VERIFIERS")
    module, attribute = known[name].split(":")
    return getattr(importlib.import_module(module), attribute)()


def asked(row: Row) -> Prompt:
    meta = {name: database() if value == "@sqlite" else value for name, value in row.get("meta", {}).items()}
    return Prompt("p", (Message("user", "How much?"),), "train", "file", answer=row.get("answer"), meta=meta)


def final_answer(text: str) -> Any:
    return found("selfreward.tasks.verifiers.final_answer", "selfreward.verifiers.final_answer").final_answer(text)


def k1_verifiers(row: Row) -> str:
    """What a verifier, or the vote's final answer, says of a reply."""
    if row["verifier"] == "votes":
        said = final_answer(row["reply"])
        return "" if said == row["form"] else f"{said!r}; expected {row['form']!r}"
    prompt, judge = asked(row), verifier(row["verifier"])
    if "refused" in row:
        try:
            judge.require(prompt)
        except DataError as problem:
            said = str(problem)
            return "" if row["refused"] in said and "prompt p" in said else said
        return "accepted"
    judge.require(prompt)
    truth = judge.check(prompt, row["reply"])
    said = "open" if truth.open else "correct" if truth.correct else "wrong"
    right = ("wrong", "open") if row["verdict"] == "not correct" else (row["verdict"],)
    return "" if said in right else f"{said}; expected {' or '.join(right)}"


def read(kind: str, text: str) -> Any:
    """A judge's reply, read by the parser of its kind."""
    completion = found("selfreward.engines.protocol").Completion(text, "", (5, 6), "stop")
    match kind:
        case "score":
            return found("selfreward.judging.prompts.pointwise", "selfreward.roles.judge").read("additive", completion)
        case "pairwise":
            return _reading(
                found("selfreward.judging.prompts.pairwise", "selfreward.roles.judge_pairwise"), "pairwise"
            )(completion)
        case "meta":
            place = found("selfreward.judging.prompts.meta", "selfreward.roles.meta_judge")
            return place.read("pairwise", completion)
    rubric = found("selfreward.judging.prompts.rubric", "selfreward.roles.rubric")
    by_name = rubric.__name__ == "selfreward.roles.rubric"  # so it was; today a rubric is handed over
    reading = _reading(rubric, "rubric")
    return reading(RUBRIC if by_name else rubric.load_rubric(RUBRIC), completion)


def _reading(place: Any, template: str) -> Callable[..., Any]:
    """Its reader; today's are told the template first."""
    told = "template" in inspect.signature(place.read).parameters
    return partial(place.read, template) if told else place.read


def unread(value: object) -> bool:
    return type(value).__name__ == "Unreadable"


def expected(row: Row) -> float:
    """The value of a readable reply: of a rubric's, the weighted mean of its scores."""
    if row["kind"] != "rubric":
        return row["value"]  # type: ignore[no-any-return]
    rubric = found("selfreward.judging.prompts.rubric", "selfreward.roles.rubric").load_rubric(RUBRIC)
    weights = {criterion.name: criterion.weight for criterion in rubric.criteria}
    return sum(weights[name] * score for name, score in row["value"].items()) / sum(weights.values())


def k2_readable(row: Row) -> str:
    value, right = read(row["kind"], row["reply"]), expected(row)
    if unread(value):
        return "unread"
    same = abs(value - right) < 1e-9 if isinstance(value, float) and not isinstance(right, str) else value == right
    return "" if same else f"read as {value!r}; expected {right!r}"


def k2_unreadable(row: Row) -> str:
    value = read(row["kind"], row["reply"])
    return "" if unread(value) else f"read as {value!r}"


@lru_cache(maxsize=1)
def loaded() -> None:
    """The libraries once, so that a child's processor time is the command's own."""
    for name in ("AutoConfig", "AutoTokenizer", "AutoModelForCausalLM"):
        getattr(importlib.import_module("transformers"), name)
    found("selfreward.commands.preflight", "selfreward.preflight")
    found("selfreward.loop")


def k6_recipes(row: Row) -> str:
    """One line, its exit code, and nothing begun, from the command. Forked: what is accepted would run."""
    loaded()
    smoke = ROOT.parent / "recipes" / "smoke.yaml"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "there"
        furnish(folder)
        recipe = smoke
        if "overrides" not in row and "words" not in row:
            recipe = folder / "bad.yaml"
            recipe.write_bytes(bytes.fromhex(row["bytes"]) if "bytes" in row else row["file"].encode())
        before, heard = sorted(folder.iterdir()), Path(made) / "heard"
        words = row.get("words") or ["run", str(recipe), *row.get("overrides", [])]
        status = forked(lambda: _command(folder, heard, words), seconds=row.get("seconds", 6))
        said = heard.read_text(encoding="utf-8", errors="replace").strip() if heard.exists() else ""
        if sorted(folder.iterdir()) != before:
            return "something was begun"
    if status is None:
        return "did not end in time"
    if "Traceback" in said or "\n" in said or status != row["exit"]:
        return f"exit code {status}, {said[-200:]!r}; expected {row['exit']} and one line"
    if obeyed(said):
        return f"the terminal is told {said!r}"
    if row.get("says", "") not in said:
        return f"{said[-200:]!r}; expected {row['says']!r} in it"
    return ""


def furnish(folder: Path) -> None:
    """What the rows name beside the recipe: directories that are no model's, and files of nothing."""
    for name, content in {
        "empty.jsonl": "",
        "bad-script.yaml": "rules: []",
        "bare/config.json": "{}",
        "torn/config.json": '{"model_type": ',
        "list/config.json": "[]",
        "odd/config.json": '{"model_type": "no_such_model", "vocab_size": 8}',
        "page/config.json": "<html>404</html>",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "void").mkdir()


def _command(folder: Path, heard: Path, words: list[str]) -> None:
    cli = found("selfreward.commands.cli", "selfreward.cli")
    os.chdir(folder)
    sys.argv = ["selfreward", *words]
    os.dup2(os.open(heard, os.O_CREAT | os.O_WRONLY), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stderr = os.fdopen(2, "w", closefd=False)  # a test's own writes elsewhere
    cli.main()


def forked(act: Callable[[], object], seconds: int) -> int | None:
    """The exit code of a child that does `act`; None where it took longer."""
    child = os.fork()
    if child == 0:
        import resource
        import traceback

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        status = 1
        try:
            act()
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        finally:
            if isinstance(sys.exc_info()[1], Exception):
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
    return None if killed else os.waitstatus_to_exitcode(status)


def k7_time(row: Row) -> str:
    """Whether a long text is read within a second of this process's time, which a confined reader takes none of."""
    text = row["head"] + (row["unit"] * row["size"])[: row["size"]] + row["tail"]

    def timed() -> None:
        begun = time.process_time()
        if row["reader"] == "votes":
            final_answer(text)
        elif row["reader"] in ("score", "pairwise", "meta", "rubric"):
            read(row["reader"], text)
        else:
            verifier.__wrapped__(row["reader"]).check(asked(row), text)  # a worker is of the process that made it
        if time.process_time() - begun > row["seconds"]:
            raise SystemExit(3)

    status = forked(timed, seconds=6)
    return "" if status == 0 else f"took longer than {row['seconds']} s of processor time"


ADAPTERS: dict[str, Callable[[Row], str]] = {
    "k1_verifiers": k1_verifiers,
    "k2_readable": k2_readable,
    "k2_unreadable": k2_unreadable,
    "k5_export": k5_export,
    "k5_kept": k5_kept,
    "k5_late": k6_recipes,
    "k5_served": k5_served,
    "k6_recipes": k6_recipes,
    "k7_time": k7_time,
    "k8_errors": k6_recipes,
    "k8_names": k8_names,
    "k8_shown": k8_shown,
    "k9_overlap": k9_overlap,
}
"""File name without its ending -> what tries a row of it."""
