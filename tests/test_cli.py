"""The command as a user meets it: its exit codes and what it prints. Each kind of ending has a process of its own; what
differs from it in words only is asked in this one."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_factory import selfreward_here

from selfreward import __version__
from selfreward.errors import SelfRewardError
from selfreward.recipe import Recipe
from selfreward.store.results import Store
from selfreward.tasks.sandbox.seeds.model import build_model, save_model

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
COMMAND = [sys.executable, "-m", "selfreward"]


def selfreward(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def assert_fails(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One line on stderr after the progress lines, with all `words`, and no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    for word in words:
        assert word in last


def all_errors(kind: type[SelfRewardError] = SelfRewardError) -> list[type[SelfRewardError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in all_errors(child))]


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in all_errors()]
    assert len(codes) == len(set(codes)) >= 10
    assert 0 not in codes


def processor_seconds() -> float:
    """What all processes that were begun here and have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_comes_at_once_and_names_every_command(tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        # Processor time, which a busy machine does not stretch as it does the clock on the wall.
        begun = processor_seconds()
        done = selfreward("--help", cwd=tmp_path)
        seconds.append(processor_seconds() - begun)
        assert done.returncode == 0
    names = (
        "recipes",
        "init",
        "check",
        "run",
        "fork",
        "ablate",
        "report",
        "compare",
        "show",
        "export",
        "gc",
        "doctor",
        "sandbox",
    )
    assert all(f"\u2502 {name} " in done.stdout for name in names)
    assert min(seconds) < 0.5


@pytest.mark.parametrize(
    "words",
    [["probe", "sandbox:seed-0", "--family=truth", "--family=length"], ["anchors", "sample", "x", "--n=4", "--n=5"]],
)
def test_an_option_that_stands_twice_is_refused(tmp_path: Path, words: list[str]) -> None:
    done = selfreward_here(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert f"{words[-1].partition('=')[0]} is given 2 times" in done.stderr


def test_an_option_that_collects_may_stand_twice(tmp_path: Path) -> None:
    done = selfreward_here("probe", "sandbox:seed-0", "--probe-file=a", "--probe-file=b", cwd=tmp_path)
    assert_fails(done, 2, "--probe-file", "sandbox")


def test_version(tmp_path: Path) -> None:
    assert selfreward("--version", cwd=tmp_path).stdout == f"selfreward {__version__}\n"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("judge.sample=3", ("unknown key 'judge.sample'", "did you mean 'judge.aggregate.samples'")),
        ("roundz=3", ("unknown key 'roundz'", "did you mean 'rounds'")),
        ("generate.samples=many", ("'generate.samples'", "many")),
        ("generate.samples=1", ("'generate.samples' is 1", "at least 2")),
        ("train.beta=0", ("'train.beta' is 0", "above 0")),
        ("judge.aggregate.samples=0", ("'judge.aggregate.samples' is 0", "at least 1")),
        ("judge.source=human", ("'judge.source'", "human")),
        ("train.reference=round:9", ("'train.reference'", "round:9")),
        ("rounds", ("'rounds'", "expected key=value")),
    ],
)
def test_a_wrong_recipe_ends_with_2_before_anything_is_written(
    tmp_path: Path, override: str, words: tuple[str, ...]
) -> None:
    done = selfreward_here("run", SMOKE, override, cwd=tmp_path)
    assert_fails(done, 2, "RecipeError:", *words)
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_that_is_not_there_or_no_yaml(tmp_path: Path) -> None:
    assert_fails(selfreward("run", "missing.yaml", cwd=tmp_path), 2, "missing.yaml", "cannot be read")
    (tmp_path / "broken.yaml").write_text("rounds: [3\n")
    assert_fails(selfreward_here("run", "broken.yaml", cwd=tmp_path), 2, "broken.yaml", "not valid YAML")


def test_debug_shows_the_traceback_as_well(tmp_path: Path) -> None:
    done = selfreward("run", "missing.yaml", cwd=tmp_path, SELFREWARD_DEBUG="1")
    assert done.returncode == 2
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("RecipeError: recipe missing.yaml")


@pytest.mark.parametrize(
    "command", [["export", "nix"], ["report", "nix"], ["compare", "nix", "nix"], ["show", "nix", "x"]]
)
def test_a_run_that_is_not_there(tmp_path: Path, command: list[str]) -> None:
    assert_fails(selfreward_here(*command, cwd=tmp_path), 4, "no run 'nix'", "there are: none")


@pytest.mark.parametrize("source", ["run", "run@", "run@two", "@2"])
def test_fork_wants_a_run_and_a_round(tmp_path: Path, source: str) -> None:
    assert_fails(selfreward_here("fork", source, "--name", "x", cwd=tmp_path), 2, repr(source), "RUN@ROUND")


def test_gc_of_nothing_removes_nothing(tmp_path: Path) -> None:
    done = selfreward("gc", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "removed 0 shared artifacts (0.0 MiB freed), kept 0\n")


def test_doctor_says_what_is_there_and_loads_no_model(tmp_path: Path) -> None:
    done = selfreward("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for what in ("python", "torch", "vllm", "memory", "disk", "hard links", "file locks", "device"):
        assert f" {what} " in done.stdout
    assert "model" not in done.stdout.split()
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"


def test_doctor_looks_at_a_model_when_one_is_named(tmp_path: Path) -> None:
    model = build_model(seed=0)
    save_model(model, tmp_path / "model")
    assert (
        f"{model.num_parameters():,} parameters" in selfreward_here("doctor", "--model", "model", cwd=tmp_path).stdout
    )
    assert "name a Hugging Face model directory" in selfreward_here("doctor", "--model", "nix", cwd=tmp_path).stdout


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has the right form and knows nothing."""
    directory = tmp_path_factory.mktemp("untrained") / "model"
    save_model(build_model(seed=0), directory)
    return directory


def test_a_missing_model_directory_ends_with_3(tmp_path: Path) -> None:
    done = selfreward("run", SMOKE, "model.path=./no-such-model", cwd=tmp_path)
    assert_fails(done, 3, "DataError:", "no-such-model")


def test_a_model_without_a_chat_template_is_refused_before_it_is_copied(tmp_path: Path, untrained: Path) -> None:
    """The message names the user's directory, and correcting that is enough: nothing is sealed yet."""
    shutil.copytree(untrained, tmp_path / "model")
    template = tmp_path / "model" / "chat_template.jinja"
    template.unlink()
    done = selfreward_here("run", SMOKE, "model.path=model", cwd=tmp_path)
    assert_fails(done, 3, "DataError: model directory model:", "no chat template")
    template.write_text("{{ nonsense( }}")
    assert_fails(
        selfreward_here("run", SMOKE, "model.path=model", cwd=tmp_path), 3, "DataError: model directory model:"
    )
    assert not (tmp_path / "results").exists()


def test_a_start_policy_that_the_disk_does_not_take_ends_with_4(tmp_path: Path) -> None:
    """The limit on a file's size stands for a full disk: the weights are the largest file."""
    limited = ["sh", "-c", 'ulimit -f 400 && exec "$@"', "sh", *COMMAND, "run", str(SMOKE)]
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert_fails(done, 4, "StoreError:", "model.safetensors", "cannot be written")


def test_a_run_that_another_process_holds_ends_with_5(tmp_path: Path, untrained: Path) -> None:
    recipe = ["run", SMOKE, f"model.path={untrained}"]
    with Store(tmp_path / "results").open_run("smoke", Recipe(), environment={}):
        done = selfreward(*recipe, cwd=tmp_path)
    assert_fails(done, 5, "RunBusyError:", f"process {os.getpid()}")


def test_another_recipe_on_the_same_run_names_the_field(tmp_path: Path, untrained: Path) -> None:
    Store(tmp_path / "results").open_run("smoke", Recipe(seed=5), environment={}).close()
    done = selfreward_here("run", SMOKE, f"model.path={untrained}", cwd=tmp_path)
    assert_fails(done, 4, "StoreError:", "'smoke' was made with")


ONE_ROUND = ("rounds=1", "prompts.per_round=16", "measure.frozen=8", "keep.checkpoints=all")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which one short run has been made."""
    directory = tmp_path_factory.mktemp("finished")
    done = selfreward("run", SMOKE, *ONE_ROUND, cwd=directory)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"done: {Path('results', 'smoke')}"
    return directory


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(directory.rglob("round-*/**/*")) if path.is_file()}


def test_the_same_command_again_changes_nothing(place: Path) -> None:
    before = contents(place / "results" / "smoke")
    done = selfreward("run", SMOKE, *ONE_ROUND, cwd=place)
    assert done.returncode == 0, done.stderr
    assert contents(place / "results" / "smoke") == before


def test_report_prints_tables_and_says_last_where_the_page_is(place: Path) -> None:
    done = selfreward("report", "smoke", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "true accuracy" in done.stdout
    page = place / "results" / "smoke" / "report.html"
    assert f"report: {page.relative_to(place)}" in done.stdout.splitlines()[-2]
    assert page.read_text().lstrip().startswith("<!")


def test_a_run_may_be_named_by_its_directory(place: Path, tmp_path: Path) -> None:
    done = selfreward_here("report", place / "results" / "smoke", "--out", tmp_path / "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").is_file()


def test_show_prints_a_prompt_by_the_first_characters_of_its_id(place: Path) -> None:
    row = json.loads((place / "results/smoke/round-01/prompts.jsonl").read_text().splitlines()[0])
    done = selfreward_here("show", "smoke", row["id"][:10], cwd=place)
    assert done.returncode == 0, done.stderr
    assert row["messages"][-1]["content"] in " ".join(done.stdout.split())


def test_export_writes_a_model_directory(place: Path) -> None:
    done = selfreward("export", "smoke", "--round", "last", cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"round 1: {Path('exports', 'smoke-round-1')}\n"
    assert {"model.safetensors", "README.md"} <= {path.name for path in (place / "exports/smoke-round-1").iterdir()}
    assert_fails(selfreward_here("export", "smoke", "--round", "last", cwd=place), 4, "not an empty directory")


@pytest.mark.slow
def test_a_fork_takes_over_the_rounds_and_goes_on_with_other_keys(place: Path) -> None:
    command = ("fork", "smoke@0", "train.beta=0.1", "--name", "other")
    done = selfreward(*command, cwd=place)
    assert done.returncode == 0, done.stderr
    first, second = (contents(place / "results" / name) for name in ("smoke", "other"))
    start = "round-00/checkpoint/model.safetensors"
    assert first[place / "results/smoke" / start] == second[place / "results/other" / start]
    trained = "round-01/checkpoint/model.safetensors"
    assert first[place / "results/smoke" / trained] != second[place / "results/other" / trained]
    assert selfreward(*command, cwd=place).returncode == 0, "the same command goes on"
    assert_fails(selfreward("fork", "smoke@1", "--name", "other", cwd=place), 4, "is not a fork of smoke@1")
    compared = selfreward("compare", "smoke", "other", cwd=place)
    assert compared.returncode == 0, compared.stderr
    assert "other minus smoke" in compared.stdout


@pytest.mark.slow
def test_a_model_that_cannot_judge_ends_with_9(tmp_path: Path, untrained: Path) -> None:
    done = selfreward("run", SMOKE, f"model.path={untrained}", cwd=tmp_path)
    assert_fails(done, 9, "GateError:", "gates.min_readable")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_with_130_and_the_same_command_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", str(SMOKE)], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("round 1: judgments"):
            break
    process.send_signal(number)
    rest = process.stderr.read()
    assert process.wait(timeout=60) == 130, "".join(said) + rest
    assert "Traceback" not in rest
    assert rest.splitlines()[-1].startswith(f"StoppedError: stopped by {number.name}")
    assert selfreward("run", SMOKE, cwd=tmp_path).returncode == 0
