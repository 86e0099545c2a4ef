"""`selfreward export RUN --tasks DIR`: a round's policy, the run's pools, and tasks for two programs.

    model/                 the policy, as `selfreward export` writes it
    pools.jsonl task.json  prompts, and how the run asked and checked them (pool.py)
    selfreward_task.py     inspect_ai's: `inspect eval DIR/selfreward_task.py`
    lm_eval/               lm-evaluation-harness's: one YAML for each pool
    README.md              the commands

The tasks need this package where they are run, for the verifier. A run without one is refused: nothing would be known
of an answer. What the gates or the choice of a round read is of the pools gate and selection, so compare on report.
"""

from pathlib import Path

from selfreward.commands.export import export, written_beside
from selfreward.commands.harness.lm_eval_task import one_turn
from selfreward.commands.harness.pool import ROWS, TOLD, Pool, Told
from selfreward.errors import StoreError
from selfreward.recipe.section import as_dict
from selfreward.records import Prompt, to_line
from selfreward.store.view import RunView
from selfreward.tasks.source import EVALUATION_POOLS

INSPECT = '''"""Tasks of inspect_ai, made by `selfreward export --tasks`: the pools of run {run}."""

from pathlib import Path

from inspect_ai import task
from selfreward.commands.harness.inspect_task import pool_task

HERE = str(Path(__file__).parent.resolve())

'''
INSPECT_POOL = """
@task
def {pool}():
    return pool_task(HERE, "{pool}")

"""
LM_EVAL = '''"""Functions of the tasks beside this file, made by `selfreward export --tasks`."""

from pathlib import Path

from selfreward.commands.harness.lm_eval_task import documents, grades

HERE = str(Path(__file__).parent.parent.resolve())

'''
LM_EVAL_POOL = """
def {pool}_documents(**_):
    return documents(HERE, "{pool}")


def {pool}_grades(document, results):
    return grades(HERE, "{pool}", document, results)

"""
README = """# Run {run}, round {number}, as tasks

With selfreward installed beside either program, in this directory:

```
inspect eval selfreward_task.py@report --model hf/policy -M model_path=model -M tokenizer_path=model
{lm_eval}
```

`accuracy` and `quality` are by the run's own verifier ({verifier}); `open` is the share of answers that it could not
decide, which are not right here and left out in the run. A sampled number differs from the run's by chance.
Pools: {pools}; the first two steer the run, so compare on `report`.
"""
COMMAND = (
    "lm_eval run --model hf --model_args pretrained=model --apply_chat_template --include_path lm_eval "
    "--tasks selfreward_report"
)
NOT_ASKED = "# no task of lm_eval: prompts have several turns, or system texts of their own"


def export_tasks(view: RunView, number: int, out: Path) -> str:
    """Write the directory `out`, which must be new or empty; returns what that is."""
    recipe = view.recipe()
    measure = recipe.measure
    if measure.verifier == "none":
        raise StoreError(
            f"run {view.name!r} has no verifier (measure.verifier=none), so an answer to its prompts cannot be scored "
            "by a task; `selfreward export` without --tasks copies its policy, and --pairs its pairs"
        )
    prompts = [prompt for prompt in view.read(0, "pools", Prompt) if prompt.pool in EVALUATION_POOLS]
    told = Told(
        run=view.name,
        round=number,
        verifier=measure.verifier,
        code=as_dict(measure.code),
        template=recipe.generate.template,
        samples=measure.samples,
        temperature=measure.sampling.temperature,
        top_p=measure.sampling.top_p,
        max_tokens=measure.sampling.max_tokens,
        thinking=recipe.model.thinking,
    )
    with written_beside(out) as beside:
        export(view, number, beside / "model")
        (beside / ROWS).write_text("".join(f"{to_line(prompt)}\n" for prompt in prompts), encoding="utf-8")
        (beside / TOLD).write_text(told.to_json(), encoding="utf-8")
        code = INSPECT.format(run=view.name) + "".join(INSPECT_POOL.format(pool=pool) for pool in EVALUATION_POOLS)
        (beside / "selfreward_task.py").write_text(code.rstrip() + "\n", encoding="utf-8")
        asked = [_lm_eval(beside, pool) for pool in EVALUATION_POOLS]
        readme = README.format(
            run=view.name,
            number=number,
            lm_eval=COMMAND if all(asked) else NOT_ASKED,
            verifier=measure.verifier,
            pools=", ".join(EVALUATION_POOLS),
        )
        (beside / "README.md").write_text(readme, encoding="utf-8")
    return f"round {number} and {len(prompts)} prompts as tasks of inspect_ai{' and lm_eval' if all(asked) else ''}"


def _lm_eval(directory: Path, name: str) -> bool:
    """The task of one pool, where that program can ask its prompts; returns whether it can."""
    import yaml

    pool = Pool(directory, name)
    system = one_turn(pool)
    if system is None:
        return False
    place = directory / "lm_eval"
    if not place.exists():
        place.mkdir()
        code = LM_EVAL + "".join(LM_EVAL_POOL.format(pool=pool) for pool in EVALUATION_POOLS)
        (place / "selfreward_pool.py").write_text(code.rstrip() + "\n", encoding="utf-8")
    told = pool.told
    task = {
        "task": f"selfreward_{name}",
        "test_split": "test",
        "output_type": "generate_until",
        "description": system,
        "doc_to_text": "{{asked}}",
        "doc_to_target": "",
        "repeats": told.samples,
        "generation_kwargs": {
            "until": [],
            "do_sample": told.temperature > 0,
            "temperature": told.temperature,
            "top_p": told.top_p,
            "max_gen_toks": told.max_tokens,
        },
        "filter_list": [{"name": "every", "filter": [{"function": "take_first_k", "k": told.samples}]}],
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": metric != "open"}
            for metric in ("accuracy", "quality", "open")
        ],
        "metadata": {"version": 1},
    }
    named = f"custom_dataset: !function selfreward_pool.{name}_documents\n"
    named += f"process_results: !function selfreward_pool.{name}_grades\n"
    (place / f"{name}.yaml").write_text(yaml.safe_dump(task, sort_keys=False) + named, encoding="utf-8")
    return True
