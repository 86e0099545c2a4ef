"""Doors for other people's code: a package that is installed somewhere else adds one of each, and a run uses them."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from docs_reader import fences
from evidence_factory import evidence, prompts, rows

from selfreward.commands.preflight import check_doors, check_judge
from selfreward.errors import RecipeError
from selfreward.recipe.doors import identity, load
from selfreward.recipe.read import build_recipe
from selfreward.roles import version
from selfreward.tasks.verifiers import VERIFIERS
from selfreward.tasks.verifiers.protocol import load_verifier

PACKAGE = {
    "pyproject.toml": """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "someones-own"
version = "1"

[tool.setuptools]
py-modules = ["someones"]

[project.entry-points."selfreward.verifiers"]
short = "someones:Short"
""",
    "someones.py": '''
"""A verifier, a metric, a pair rule and a trainer of somebody else."""

from dataclasses import replace

from selfreward.judging.scoring.score import counted
from selfreward.measuring.metrics.answers import clusters, evaluated, row
from selfreward.measuring.stats.clustered import clustered_share
from selfreward.pairing.candidates import Pick, Refusal
from selfreward.tasks.verifiers.truths import decided

NEEDS = "truth"


class Short:
    """Right is what has few words."""

    def require(self, prompt):
        pass

    def check(self, prompt, text):
        return decided(len(text.split()) <= 6, text)

    def judgment_quality(self, prompt, answer, judgment):
        return 0.0


def measure(evidence):
    found = []
    for pool, answers in evaluated(evidence):
        shares = [float(answer.response.text.endswith(".")) for answer in answers]
        found.append(row(evidence, "ends_with_a_point", clustered_share(shares, clusters(answers)), pool=pool))
    return found


def train(start, rows, recipe, *, progress=None, **where):
    """Chosen answers whose score is high enough, by the package's own supervised trainer."""
    from selfreward.training.supervised import train_supervised

    least = recipe.options.get("least", 0.0)
    kept = [(pair.prompt_token_ids, pair.chosen_token_ids) for pair in rows if pair.chosen_score >= least]
    return train_supervised(start, kept, recipe, progress=progress, **where)


def choose(candidates, situation):
    right = [one for one in candidates if one.grade is not None and one.grade.correct]
    wrong = [one for one in candidates if one.grade is not None and one.grade.correct is False]
    if not right or not wrong:
        return Refusal("all alike")
    right, wrong = replace(right[0], score=counted(1.0)), replace(wrong[0], score=counted(0.0))
    return [Pick(right, wrong, weight=float(situation.recipe.options.get("weight", 1.0)))]
''',
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the package was installed, as a user would install it."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name, text in PACKAGE.items():
        (source / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run([*command, "--target", str(target), str(source)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot build a package here: {done.stderr[-200:]}")
    return target


@pytest.mark.slow
def test_a_run_uses_an_installed_packages_doors(installed: Path, tmp_path: Path) -> None:
    smoke = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
    keys = ["rounds=1", "meta.enabled=false", "prompts.writer.share=0", "measure.verifier=entry:short"]
    keys += ["measure.metrics=[someones:measure]", "pairs.rule=own", "pairs.choose=someones:choose"]
    keys += ["train.method=own", "train.trainer=someones:train", "train.options={least: 0.5}", "train.epochs=1"]
    keys += ["pairs.options={weight: 0.5}", "judge.source=none", "prompts.per_round=40"]
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "selfreward", "run", str(smoke), *keys, "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 0, done.stderr
    assert '"metric": "ends_with_a_point"' in (tmp_path / "smoke/round-01/measurements.jsonl").read_text()
    pairs = (tmp_path / "smoke/round-01/pairs.jsonl").read_text().splitlines()
    assert pairs and all('"weight": 0.5' in pair for pair in pairs)
    seal = (tmp_path / "smoke/round-01/measurements.done.json").read_text()
    assert "someones:measure@" in seal and "entry:short@" in seal
    trained = (tmp_path / "smoke/round-01/checkpoint.done.json").read_text()
    assert '"method": "own"' in trained and "someones:train@" in trained


def test_a_file_of_ones_own_is_loaded_once_and_known_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    pass\n")
    name = f"{file}:Mine"
    assert load("verifiers", name, VERIFIERS) is load("verifiers", name, VERIFIERS)
    before = identity("verifiers", name, VERIFIERS)
    file.write_text("class Mine:\n    other = 1\n")
    assert identity("verifiers", name, VERIFIERS) != before
    assert identity("verifiers", "exact", VERIFIERS) == "exact"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.at.all:x", "cannot be imported"),
        ("json:nothing", "json has no 'nothing'"),
        ("nothing_here.py:x", "there is no file nothing_here.py"),
        ("entry:nothing", "no installed package offers 'nothing'"),
        ("exactly", "expected one of choice, code, contains, exact"),
    ],
)
def test_what_cannot_be_loaded_is_named(name: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load("verifiers", name, VERIFIERS)


@pytest.mark.parametrize(
    ("name", "words"),
    [("os:system", "without arguments"), ("os:sep", "without arguments"), ("os:getcwd", r"made str, without require")],
)
def test_what_makes_no_verifier_is_refused_before_a_run(name: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_verifier(name)


def test_what_is_built_in_has_an_identity_without_a_file() -> None:
    assert identity("metrics", "os:getcwd", {}) == "os:getcwd@no file"


def test_a_name_that_is_neither_known_nor_an_address_is_refused_when_the_recipe_is_read() -> None:
    with pytest.raises(RecipeError, match=r"numeric \| .*module:object"):
        build_recipe([], ["measure.verifier=numerik"])
    with pytest.raises(RecipeError, match="module:object"):
        build_recipe([], ["measure.metrics=[mine]"])


def test_a_judge_prompt_of_ones_own_is_a_text_file(tmp_path: Path) -> None:
    file = tmp_path / "strict.txt"
    file.write_text("Be strict.\n{prompt}\n{response}\nEnd with: Score: N\n")
    recipe = build_recipe([], [f"judge.question.template={file}"])
    check_judge(recipe)
    assert version("judge", str(file)).startswith("judge/strict@")
    other = tmp_path / "empty.txt"
    other.write_text("Be strict.")
    with pytest.raises(RecipeError, match=r"has no \{prompt\}"):
        version("judge", str(other))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["measure.metrics=[os:getcwd]"], r"os:getcwd' cannot be called as name\(evidence\)"),
        (["pairs.rule=own", "pairs.choose=os:getcwd"], r"cannot be called as name\(candidates, situation\)"),
        (["pairs.rule=own", "pairs.choose=shutil:copyfile"], "NEEDS = None"),
        (["train.method=own", "train.trainer=os:nothing"], "os has no 'nothing'"),
    ],
)
def test_what_cannot_be_called_as_it_will_be_is_refused_before_a_run(keys: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        check_doors(build_recipe([], keys))


def test_the_metric_that_the_docs_show_counts_what_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "adding.md").read_text(encoding="utf-8")
    (block,) = (block for block in fences(page) if "def measure(evidence)" in block)
    (tmp_path / "mine.py").write_text(block, encoding="utf-8")
    measure = load("metrics", f"{tmp_path / 'mine.py'}:measure", {})
    asked = {prompt: (5, 5) for pool in ("report", "gate") for prompt in prompts(3, pool)}
    given = rows(asked)
    answers = [replace(row, text="12" if place == 0 else "no") for place, row in enumerate(given.responses)]
    (found,) = measure(evidence(replace(given, responses=answers)))
    assert (found.metric, found.pool, found.n, found.value) == ("digits", "report", 6, pytest.approx(1 / 6))


def test_a_module_that_is_a_file_here_is_named_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lies_here.py").write_text("def measure(evidence):\n    return []\n")
    with pytest.raises(RecipeError, match=r"write lies_here\.py:measure for the file here$"):
        load("metrics", "lies_here:measure", {})
    assert load("metrics", "lies_here.py:measure", {})(None) == []
