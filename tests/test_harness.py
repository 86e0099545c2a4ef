"""Runs in other people's evaluation programs: what is exported checks a run's own answers to the run's own accuracy."""

import importlib.util
import json
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_factory import Story, write_run

from selfreward.commands.harness.bundle import export_tasks
from selfreward.commands.harness.lm_eval_task import one_turn
from selfreward.commands.harness.pool import ROWS, Pool, figures
from selfreward.commands.run import run
from selfreward.errors import DataError, StoreError
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Measurement, Message, Prompt, Response, from_line, to_line
from selfreward.store.results import Store
from selfreward.store.view import RunView

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
needs = {
    name: pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"needs {name}")
    for name in ("inspect_ai", "lm_eval")
}


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    store = Store(tmp_path_factory.mktemp("results"), share=False)
    return write_run(store, "told", Story((0.4, 0.7), report=12, train=8))


@pytest.fixture(scope="module")
def tasks(view: RunView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "tasks"
    assert export_tasks(view, 1, out) == "round 1 and 92 prompts as tasks of inspect_ai and lm_eval"
    return out


def measured(view: RunView, number: int, pool: str) -> dict[str, float | None]:
    rows = view.read(number, "measurements", Measurement)
    return {row.metric: row.value for row in rows if (row.pool, row.cohort) == (pool, "all")}


def answers(view: RunView, number: int, pool: Pool) -> dict[str, list[str]]:
    """The text that is asked → the run's own answers to it, by sample."""
    found = defaultdict(list)
    for row in sorted(view.read(number, "eval_responses", Response), key=lambda one: (one.prompt_id, one.sample)):
        if row.prompt_id in pool.prompts:
            found[pool.asked(pool.prompts[row.prompt_id])[-1].content].append(row.text)
    return found


@pytest.mark.parametrize("name", ["gate", "selection", "report"])
@pytest.mark.parametrize("number", [0, 1])
def test_the_runs_own_answers_have_the_runs_own_accuracy(tasks: Path, view: RunView, name: str, number: int) -> None:
    pool, rows = Pool(tasks, name), view.read(number, "eval_responses", Response)
    found = [figures(pool.truth(row.prompt_id, row.text)) for row in rows if row.prompt_id in pool.prompts]
    for figure, metric in (("accuracy", "true_accuracy"), ("quality", "true_quality")):
        assert sum(one[figure] for one in found) / len(found) == pytest.approx(measured(view, number, name)[metric])


def test_thoughts_are_cut_before_an_answer_is_checked(tasks: Path, view: RunView) -> None:
    pool = Pool(tasks, "report")
    row = next(row for row in view.read(1, "eval_responses", Response) if row.prompt_id in pool.prompts)
    thought = pool.truth(row.prompt_id, f"<think>4 5 6 and so on</think>{row.text}")
    assert thought == pool.truth(row.prompt_id, row.text)
    assert not pool.truth(row.prompt_id, f"<think>{row.text}").correct, "a thought that never ends is no answer"


def test_a_task_asks_as_the_run_did_and_names_functions_that_are_there(tasks: Path, view: RunView) -> None:
    recipe = view.recipe()
    text = (tasks / "lm_eval" / "report.yaml").read_text(encoding="utf-8")
    told = yaml.safe_load(text.replace("!function ", ""))
    assert told["repeats"] == told["filter_list"][0]["filter"][0]["k"] == recipe.measure.samples
    sampling = recipe.measure.sampling
    assert told["generation_kwargs"]["temperature"] == sampling.temperature
    assert told["generation_kwargs"]["max_gen_toks"] == sampling.max_tokens
    made: dict[str, Any] = {"__file__": str(tasks / "lm_eval" / "selfreward_pool.py")}
    exec((tasks / "lm_eval" / "selfreward_pool.py").read_text(encoding="utf-8"), made)  # noqa: S102
    documents = made[told["custom_dataset"].partition(".")[2]]()["test"]
    pool = Pool(tasks, "report")
    assert sorted(documents["id"]) == sorted(pool.prompts) and len(documents) == 12
    replies = answers(view, 1, pool)
    grades = made[told["process_results"].partition(".")[2]]
    found = [grades(document, [replies[document["asked"]]])["accuracy"] for document in documents]
    assert sum(found) / len(found) == pytest.approx(measured(view, 1, "report")["true_accuracy"])


def test_prompts_of_several_turns_are_no_task_of_lm_eval(tasks: Path, tmp_path: Path) -> None:
    lines = (tasks / ROWS).read_text(encoding="utf-8").splitlines()
    rows = [from_line(Prompt, line, ROWS) for line in lines]
    turns = (Message("user", "Hi."), Message("assistant", "Hello."), Message("user", "Count."))
    for name, messages in (("turns", turns), ("system", (Message("system", "Be brief."), Message("user", "Count.")))):
        (tmp_path / name).mkdir()
        odd = [Prompt("x", messages, "report", "file"), *rows]
        (tmp_path / name / ROWS).write_text("".join(f"{to_line(row)}\n" for row in odd), encoding="utf-8")
        (tmp_path / name / "task.json").write_bytes((tasks / "task.json").read_bytes())
        assert one_turn(Pool(tmp_path / name, "report")) is None and one_turn(Pool(tmp_path / name, "gate")) == ""
    with pytest.raises(DataError, match="expected one of gate, selection, report"):
        Pool(tasks, "train")


def test_a_run_without_a_verifier_and_a_directory_that_is_taken_are_refused(view: RunView, tmp_path: Path) -> None:
    untold = write_run(Store(tmp_path, share=False), "untold", Story((0.4, 0.5), verifier="none", report=12, train=8))
    with pytest.raises(StoreError, match="has no verifier"):
        export_tasks(untold, 1, tmp_path / "tasks")
    assert not (tmp_path / "tasks").exists()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("")
    with pytest.raises(StoreError, match="not an empty directory"):
        export_tasks(view, 1, tmp_path / "taken")


@needs["inspect_ai"]
def test_inspect_ai_finds_the_accuracy_of_the_run(tasks: Path, view: RunView, tmp_path: Path) -> None:
    import inspect_ai
    from inspect_ai.model import ModelAPI, ModelOutput, get_model, modelapi

    left = {asked: iter(texts) for asked, texts in answers(view, 1, Pool(tasks, "report")).items()}

    @modelapi(name="replay")
    class Replay(ModelAPI):
        """Says the run's own answers again."""

        async def generate(self, input: Any, tools: Any, tool_choice: Any, config: Any) -> ModelOutput:
            return ModelOutput.from_content("replay", next(left[input[-1].text]))

    (log,) = inspect_ai.eval(
        f"{tasks / 'selfreward_task.py'}@report",
        model=get_model("replay/any"),
        log_dir=str(tmp_path),
        display="none",
        retry_on_error=0,
    )
    assert log.status == "success", log.error
    found = {score.name: score.metrics["mean"].value for score in log.results.scores}
    for figure, metric in (("accuracy", "true_accuracy"), ("quality", "true_quality")):
        assert found[figure] == pytest.approx(measured(view, 1, "report")[metric])
    assert all(next(rest, None) is None for rest in left.values()), "each answer was asked for once"


@needs["lm_eval"]
def test_lm_eval_finds_the_accuracy_of_the_run(tasks: Path, view: RunView) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    left = {asked: iter(texts) for asked, texts in answers(view, 1, Pool(tasks, "report")).items()}

    class Replay(LM):
        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            return [next(left[request.args[0]]) for request in requests]

        def loglikelihood(self, requests: Any) -> Any:
            raise AssertionError("no likelihood is asked for")

        loglikelihood_rolling = loglikelihood

    manager = TaskManager(include_path=str(tasks / "lm_eval"), include_defaults=False)
    done = simple_evaluate(model=Replay(), tasks=["selfreward_report"], task_manager=manager, bootstrap_iters=0)
    found = done["results"]["selfreward_report"]
    for figure, metric in (("accuracy", "true_accuracy"), ("quality", "true_quality")):
        assert found[f"{figure},every"] == pytest.approx(measured(view, 1, "report")[metric])


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("real")
    tiny = ["rounds=1", "meta.enabled=false", "prompts.writer.share=0", "measure.frozen=0", "measure.samples=2"]
    tiny += ["prompts.per_round=8", "measure.gate=2", "measure.selection=2", "measure.report=4"]
    run(load_recipe(SMOKE, tiny), Store(root), "real", Progress(style="silent"))
    export_tasks(Store(root).existing("real"), 1, root / "tasks")
    return root / "tasks"


@pytest.mark.slow
@pytest.mark.parametrize("program", [pytest.param(name, marks=mark) for name, mark in needs.items()])
def test_the_commands_that_the_directory_names_work(real: Path, program: str) -> None:
    said = (real / "README.md").read_text(encoding="utf-8").split("```")[1].strip().splitlines()
    (line,) = (line for line in said if line.startswith(program.partition("_")[0]))
    words = shlex.split(line)
    module = ["-m", program, *words[1:]]
    done = subprocess.run([sys.executable, *module], cwd=real, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout + done.stderr


def test_what_is_told_is_json_and_names_no_machine(tasks: Path) -> None:
    told = json.loads((tasks / "task.json").read_text(encoding="utf-8"))
    assert told["run"] == "told" and told["verifier"] == "sandbox"
    for path in tasks.rglob("*"):
        if path.suffix in {".md", ".json", ".yaml", ".py"}:
            assert str(tasks.parent) not in path.read_text(encoding="utf-8")
