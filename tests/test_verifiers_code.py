"""Programs that run: right ones are right, and none of those that attack the verifier is."""

import dataclasses
import json
import os
import socket
import sys
from pathlib import Path

import pytest
from code_attacks import ATTACKS
from test_judging_loop import go

from selfreward.errors import DataError, RecipeError
from selfreward.recipe.code import CodeRecipe
from selfreward.records import Measurement, Message, Prompt
from selfreward.tasks.sets import OWN_FOLDER
from selfreward.tasks.sets.sets import read_set
from selfreward.tasks.verifiers.code import rungs
from selfreward.tasks.verifiers.code.goldens import same
from selfreward.tasks.verifiers.code.replies import program_in
from selfreward.tasks.verifiers.code.verifier import CodeVerifier
from selfreward.tasks.verifiers.protocol import load_verifier, verifier_identity

RIGHT = "def f(x):\n    return sum(map(abs, x)) / len(x) if x else 0\n"
TESTS = [
    {"args": [[1, -3]], "expected": 2},
    {"args": [[]], "expected": 0},
    {"args": [[1, 2]], "expected": 1.5},
    {"args": [[-3, 3, 3]], "expected": 3},
]
FIRM = [name for name in rungs.FULL if not rungs.rung(name).problem]
HERE = [name for name in (*rungs.FULL, "limits") if not rungs.rung(name).problem]
QUICK = CodeRecipe(cpu_seconds=1, seconds=6)

needs_confinement = pytest.mark.skipif(not FIRM, reason=rungs.rung("full").problem or "confinement")


def task(tests=TESTS, answer=RIGHT, entry="f", **meta):
    meta = {"entry": entry, "tests": tests} | meta
    return Prompt("p", (Message("user", "The mean of absolute values?"),), "train", "file", answer=answer, meta=meta)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """What an attack may want is true while it runs: a file with the golden calls, an open port, our process."""
    row = tmp_path_factory.mktemp("rows") / "row-of-the-attack.json"
    row.write_text(json.dumps({"meta": task().meta}))
    row.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as server:
        package = str(Path(rungs.__file__).parents[4])
        places = {"@OWN": str(OWN_FOLDER / "code.jsonl"), "@ROW": str(row), "@PACKAGE": package}
        yield places | {"@PID": str(os.getpid()), "@PORT": str(server.getsockname()[1])}


@needs_confinement
@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_is_called_right_or_left_open(name, filled):
    program = ATTACKS[name]
    for place, value in filled.items():
        program = program.replace(place, value)
    outcome = CodeVerifier(QUICK).outcome(task(), f"```python\n{program}```")
    assert (outcome.correct, outcome.open) == (False, False) and outcome.problem
    truth = CodeVerifier(QUICK).check(task(), f"```python\n{program}```") if name == "has no program" else None
    assert truth is None or (truth.correct, truth.open, truth.quality) == (False, "", 0.0)


def test_there_are_attacks_enough():
    assert len(ATTACKS) >= 30


SHOWN = "It is used so:\n```\n>>> f([1])\n1.0\n```\n```bash\npython f.py\n```"
LOUD = "print('loaded')\nimport sys\nsys.stderr.write('x')\n"
MAIN = "\nif __name__ == '__main__':\n    1 / 0\n"
MEAN = "from statistics import mean\ndef f(x):\n    print(x)\n    return mean([abs(n) for n in x] or [0])\n"


@needs_confinement
@pytest.mark.parametrize(
    "reply",
    [
        f"```python\n{RIGHT}```",
        RIGHT,
        f"Take this.\n```py\n{RIGHT}```\n{SHOWN}",
        f"````python\n{RIGHT}````",
        f"```python\n{LOUD}{RIGHT}{MAIN}```",
        f"```python\n{MEAN}```",
        "```python\nf = lambda x: sum(n if n > 0 else -n for n in x) / max(len(x), 1)\n```",
        f"```python\n{RIGHT}```\nOnce more:\n```python\n{RIGHT}```",
    ],
)
def test_a_right_program_is_right_however_it_is_written(reply):
    truth = CodeVerifier().check(task(), reply)
    assert (truth.correct, truth.quality, truth.open) == (True, 5.0, "")
    assert truth.answer and "```" not in truth.answer and truth.answer in reply


@needs_confinement
def test_the_share_of_calls_is_the_quality_and_only_all_of_them_is_right():
    verifier, half = CodeVerifier(), "def f(x):\n    return sum(x) / len(x) if x else 0\n"
    truth = verifier.check(task(), half)
    assert (truth.correct, truth.quality) == (False, 5.0 * 2 / 4)
    assert "[1, -3]" in verifier.outcome(task(), half).problem
    assert verifier.check(task(), "def f(x):\n    1 / 0\n").quality == 0.0
    assert (
        verifier.judgment_quality(task(), half, "Score: 2.5")
        == 0.0
        > verifier.judgment_quality(task(), half, "Score: 5")
    )


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("```python\ndef f(x):\n    return 1\n```\n```python\ndef f(x):\n    return 2\n```", "ambiguous: 2"),
        ("```js\nfunction f(x) {}\n```", "no fenced block of Python"),
        ("```python\ndef f(x):\n    return 1\n", "no fenced block of Python"),
        ("```python\ndef ff(x):\n    return 1\n```", "no fenced block"),
        ("```python\n    def f(x):\n        return 1\n```", "no fenced block"),
        ("I would write a function f.", "does not define 'f'"),
        ("", "does not define 'f'"),
        ("def f(x):\n    return '" + "x" * 100_000 + "'", "characters; expected at most"),
    ],
)
def test_a_reply_without_one_program_says_why(reply, why):
    found = program_in(reply, "f")
    assert not found.program and why in found.problem


def test_finding_a_program_takes_time_in_proportion():
    for reply in (
        "`" * 300_000,
        "```\n" * 100_000,
        " " * 300_000 + "`",
        "def f\n" * 100_000,
        "```python" + " " * 300_000,
    ):
        program_in(reply, "f")


@pytest.mark.parametrize(
    ("expected", "found", "tolerance", "alike"),
    [
        (1, True, 0, False), (True, 1, 0, False), (True, True, 0, True), (0, False, 1, False), (2, 2.0, 0, True),
        (1.5, 1.5000001, 0, False), (1.5, 1.5000001, 1e-3, True), (1.5, float("nan"), 9, False), ("1", 1, 0, False),
        (None, False, 0, False), (None, None, 0, True), ([1, 2], [1, 2], 0, True), ([1, 2], [2, 1], 0, False),
        ([1], [1, 1], 0, False), ({"a": 1}, {"a": 1.0}, 0, True), ({"a": 1}, {"a": 1, "b": 2}, 0, False),
        ([[1.0]], [[1.2]], 0.1, False), ({"a": [1.0]}, {"a": [1.05]}, 0.1, True), ([], {}, 0, False),
        ("a", "A", 0, False),
        (10**400, 10**400, 0.1, True), (1, 10**400, 0.5, False), (1.5, 10**400, 0.5, False),
    ],
)  # fmt: skip
def test_results_are_compared_by_value_and_type(expected, found, tolerance, alike):
    assert same(expected, found, float(tolerance)) is alike


@needs_confinement
@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (task(answer=None), "has no 'answer'"),
        (task(entry="f()"), "meta.entry is 'f()'"),
        (task(entry=None), "meta.entry is None"),
        (task(tests=None), "meta.tests is 'None'"),
        (task(tests=TESTS[:2]), "has 2; expected at least 3"),
        (task(tests=[*TESTS[:2], {"args": [[1]]}]), "meta.tests[2] has args; expected args and expected"),
        (task(tests=[*TESTS, {"args": 3, "expected": 3}]), "meta.tests[4]: args is 3"),
        (task(tests=[*TESTS, {"args": [3], "expected": 3, "tolerance": -1}]), "tolerance is -1"),
        (task(tests=[*TESTS, {"args": [3], "expected": float("nan")}]), "without NaN"),
        (task(tests=[{"args": [[n]], "expected": 4} for n in (4, -4, 4)]), "a constant would pass"),
        (task(answer="def f(x):\n    return 2\n"), "not right by meta.tests: {\"args\": [[]]"),
        (task(answer="import random\ndef f(x):\n    1 / 0\n"), "ZeroDivisionError"),
        (task(answer="I do not know"), "does not define 'f'"),
        (task(tests=[*TESTS, {"args": [[5]], "expected": 6}]), "[[5]]"),
    ],
)  # fmt: skip
def test_a_broken_task_is_refused_before_a_run(prompt, words):
    with pytest.raises(DataError) as refused:
        CodeVerifier(QUICK).require(prompt)
    assert words in str(refused.value) and "prompt p" in str(refused.value)


@pytest.mark.slow
@needs_confinement
def test_the_tasks_that_ship_are_right_and_their_wrong_neighbours_wrong():
    found = read_set("own:code")
    assert (found.verifier, len(found.prompts)) == ("code", 12)
    verifier = load_verifier(found.verifier)
    for prompt in found.prompts:
        verifier.require(prompt)
        assert verifier.check(prompt, f"```python\n{prompt.answer}\n```").correct, prompt.id
        # What the reference gives, wrapped once more, is another value of another type.
        name = prompt.meta["entry"]
        wrong = f"{prompt.answer}\nright = {name}\ndef {name}(*a):\n    return [right(*a)]\n"
        assert not verifier.check(prompt, wrong).correct, prompt.id
        assert name in prompt.text and str(prompt.meta["tests"]) not in prompt.text


@pytest.mark.parametrize("name", [*rungs.FULL, "limits"])
def test_each_rung_that_is_here_runs_a_program_within_its_limits(name):
    if name not in HERE:
        pytest.skip(rungs.rung(name).problem)
    verifier = CodeVerifier(dataclasses.replace(QUICK, confinement=name))
    verifier.require(task())
    for attack in ("never ends", "eats memory", "forks", "is equal to everything"):
        outcome = verifier.outcome(task(), f"```\n{ATTACKS[attack]}```")
        assert not outcome.correct and not outcome.open, (attack, outcome)


def test_a_rung_that_lets_something_through_is_not_one(monkeypatch):
    """The probe is proven on a rung that hides nothing."""
    bare = rungs.Rung("namespaces", ())
    problem = rungs._probe(bare)
    assert "the file" in problem and "code.jsonl" in problem and "a folder to write to" in problem
    assert "the list of processes" in problem or sys.platform != "linux"
    broken = rungs.Rung("namespaces", ("/nowhere/program",))
    assert "does not start" in rungs._probe(broken)


def test_without_confinement_a_run_is_refused_and_an_answer_left_open(monkeypatch):
    none = {name: rungs.Rung(name, problem="not here") for name in rungs.FULL}
    monkeypatch.setattr(rungs, "_tried", none.get)
    with pytest.raises(RecipeError) as refused:
        CodeVerifier().require(task())
    for words in ("'measure.code.confinement' is 'full'", "bubblewrap: not here; namespaces: not here", "=limits"):
        assert words in str(refused.value)
    truth = CodeVerifier().check(task(), RIGHT)
    assert not truth.correct and "no confinement" in truth.open


@pytest.mark.slow
@needs_confinement
def test_limits_are_those_of_the_recipe():
    slow = "import time\ndef f(x):\n    end = time.process_time() + .6\n"
    slow += "    while time.process_time() < end:\n        pass\n"
    slow += "    return sum(map(abs, x)) / len(x) if x else 0\n"
    hungry = "hoard = bytearray(300 << 20)\n" + RIGHT
    assert not CodeVerifier(CodeRecipe(cpu_seconds=1)).check(task(), slow).correct
    assert CodeVerifier(CodeRecipe(cpu_seconds=30, seconds=120)).check(task(), slow).correct
    assert not CodeVerifier(CodeRecipe(memory_mib=256)).check(task(), hungry).correct
    assert CodeVerifier(CodeRecipe(memory_mib=1024)).check(task(), hungry).correct


def test_other_limits_are_another_verifier_in_fingerprints():
    usual = CodeRecipe()
    assert verifier_identity("exact", usual) == "exact 2" == verifier_identity("exact", CodeRecipe(seconds=1))
    assert verifier_identity("ifeval", usual) == "ifeval"
    assert verifier_identity("code", usual) != verifier_identity("code", CodeRecipe(seconds=1))


def test_a_prompt_without_golden_calls_is_left_open():
    assert "meta.entry" in CodeVerifier().check(dataclasses.replace(task(), meta={}), RIGHT).open


@pytest.mark.slow
@needs_confinement
def test_a_run_measures_its_policy_on_the_tasks_that_ship(tmp_path):
    script, program = (
        tmp_path / "script.yaml",
        "```python\ndef digit_sum(n):\n    return sum(map(int, str(abs(n))))\n```",
    )
    rules = [{"match": "digit_sum", "replies": [program]}, {"match": "Python function", "replies": ["```\nf = 1\n```"]}]
    rules += [{"match": "^judge", "replies": ["good Score: 4"]}, {"replies": ["right", "wrong"]}]
    script.write_text(json.dumps({"rules": rules}), encoding="utf-8")
    cohorts = 'measure.cohorts={"code": {"source": "own:code"}}'
    asked = ["engine.kind=scripted", f"engine.script={script}", "train.method=none", "gates.min_readable=0"]
    view = go(tmp_path / "results", "code", *asked, cohorts, "generate.sampling.max_tokens=100", LONG)
    rows = [row for row in view.read(1, "measurements", Measurement) if row.cohort == "code"]
    (accuracy,) = [row for row in rows if row.metric == "cohort_accuracy"]
    assert accuracy.value == pytest.approx(1 / 12) and accuracy.n == 12 and not accuracy.oracle


LONG = "measure.sampling.max_tokens=100"
