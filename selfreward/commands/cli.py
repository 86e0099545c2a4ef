"""The command. Wiring only: each function here reads arguments, calls one function elsewhere and prints what it says.

Results go to stdout, progress and errors to stderr. How it ends is in exits.py. What is heavy is imported where it is
used, and after what can already fail without it.
"""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from selfreward import __version__
from selfreward.commands.anchors.command import app as anchors
from selfreward.commands.answer import answer
from selfreward.commands.check import check
from selfreward.commands.exits import run_command
from selfreward.commands.grid.command import ablate
from selfreward.commands.imports import imports
from selfreward.commands.init import init
from selfreward.commands.recipes import recipes
from selfreward.commands.see.command import COMMANDS as SEE
from selfreward.commands.see.command import RESULTS, Results, RunName
from selfreward.commands.shipped import recipe_file, recipe_names
from selfreward.errors import RecipeError, StoreError
from selfreward.progress import visible

if TYPE_CHECKING:
    from selfreward.store.results import Store
    from selfreward.store.view import RunView

app = typer.Typer(
    help="Self-rewarding iterative DPO on one device, with the measurements that say whether it helped.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
sandbox = typer.Typer(help="The small world whose truth is known, and the models that live in it.")
app.add_typer(sandbox, name="sandbox")
app.add_typer(anchors, name="anchors")
app.add_typer(imports, name="import")

app.command()(recipes)
app.command()(init)
app.command()(check)
app.command()(ablate)
app.command()(answer)
for command in SEE:
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"selfreward {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options before the command."""
    if context.invoked_subcommand is None:
        from selfreward.commands.see.next_steps import next_steps

        typer.echo(visible("\n".join(next_steps(RESULTS))))


RecipeFile = Annotated[
    Path,
    typer.Argument(
        metavar="RECIPE",
        help="A YAML file, or the name of a recipe that ships, such as smoke.",
        autocompletion=recipe_names,
    ),
]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Recipe keys to set.")]


@app.command()
def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    name: Annotated[str | None, typer.Option(help="The run's name; the recipe's file name unless given.")] = None,
    track: Annotated[
        str | None, typer.Option(metavar="NAME", help="Tell a tracker: trackio, wandb, or jsonl (a file).")
    ] = None,
    results: Results = RESULTS,
) -> None:
    """Run a recipe to its last round. The same command goes on where a stopped run left off."""
    from selfreward.commands.plan.workload import run_clock
    from selfreward.progress import Progress
    from selfreward.recipe.read import load_recipe
    from selfreward.report.trackers import require_tracker

    file = recipe_file(recipe)
    loaded = load_recipe(file, overrides or [])
    require_tracker(track)
    # After the recipe is read: this import takes seconds, and a wrong key should be told at once.
    from selfreward.commands.run import run as run_loop

    directory = run_loop(loaded, _store(results), name or file.stem, Progress(), track, run_clock(loaded))
    _tell_end(directory, f"selfreward report {directory}")


@app.command()
def fork(
    source: Annotated[str, typer.Argument(metavar="RUN@ROUND", help="The run, and the last round to take over.")],
    name: Annotated[str, typer.Option(help="The new run's name.")],
    overrides: Overrides = None,
    results: Results = RESULTS,
) -> None:
    """Begin a new run with the first rounds of another and go on with other keys. Resumed by the same command."""
    from selfreward.progress import Progress
    from selfreward.recipe.former import load_kept

    origin, _, number = source.rpartition("@")
    if not origin or not number.isdecimal():
        raise RecipeError(f"{source!r}: expected RUN@ROUND, for example sandbox@2")
    store = _store(results)
    view = store.existing(origin)
    recipe = load_kept(view.path / "recipe.yaml", overrides or [])
    from selfreward.commands.environment import environment
    from selfreward.commands.run import run as run_loop

    if not (results / name).exists():
        store.fork(str(view.path), int(number), name, recipe, environment(recipe))
    elif (made := store.existing(name).info().get("forked_from")) is None or made["round"] != int(number):
        raise StoreError(f"run {name!r} exists and is not a fork of {source}; choose another --name")
    from selfreward.commands.plan.workload import run_clock

    directory = run_loop(recipe, store, name, Progress(), clock=run_clock(recipe))
    _tell_end(directory, f"selfreward compare {view.path} {directory}")


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs, by name in --results or directory.")],
    out: Annotated[Path | None, typer.Option(help="The HTML file; in the run's own directory otherwise.")] = None,
    results: Results = RESULTS,
) -> None:
    """Rounds and runs side by side: tables here, and one self-contained HTML file with plots."""
    views = [_store(results).existing(name) for name in runs]
    from selfreward.report.html import write_report
    from selfreward.report.terminal import console, print_report

    together = results / "reports" / "+".join(view.name for view in views)
    page = out or (views[0].path if len(views) == 1 else together) / "report.html"
    written = write_report(views, page)
    # Files first: whoever reads only the head of what is printed has them all the same.
    print_report(views, console())
    typer.echo(f"report: {page}\n  with {', '.join(path.name for path in written if path != page)} beside it")


@app.command()
def compare(before: RunName, after: RunName, results: Results = RESULTS) -> None:
    """What differs between two runs, what they share, and the second minus the first, paired by prompt."""
    views = [_store(results).existing(name) for name in (before, after)]
    from selfreward.report.terminal import console, print_comparison

    print_comparison(views[0], views[1], console())


@app.command()
def show(
    run_name: RunName,
    prompt_id: Annotated[str, typer.Argument(help="The prompt's id, or the first characters of it.")],
    results: Results = RESULTS,
) -> None:
    """One prompt's answers, scores, truth and fate, round by round."""
    view = _store(results).existing(run_name)
    from selfreward.report.show import print_prompt
    from selfreward.report.terminal import console

    print_prompt(view, prompt_id, console())


@app.command("judge-diff")
def judge_diff(
    run_name: RunName,
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Keys of the judge to change.")
    ] = None,
    number: Annotated[int, typer.Option("--round", min=0, metavar="K", help="The policy that judges.")] = 0,
    template: Annotated[str | None, typer.Option(help="Short for template=NAME.")] = None,
    rubric: Annotated[str | None, typer.Option(help="Short for template=rubric rubric=NAME.")] = None,
    against: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Change the first version too, instead of the run's.")
    ] = None,
    again: Annotated[bool, typer.Option(help="Ask the first version twice, to know its noise.")] = True,
    out: Annotated[Path | None, typer.Option(help="Also write it to this JSON file.")] = None,
    results: Results = RESULTS,
) -> None:
    """Judge a run's frozen pool again under a changed judge, prompt or rubric, and say what changes."""
    view = _store(results).existing(run_name)
    wanted = [*(changes or []), *([f"template={template}"] if template else [])]
    wanted += ["template=rubric", f"rubric={rubric}"] if rubric else []
    from selfreward.commands.judge_diff import judge_diff as compare_judges
    from selfreward.commands.judge_diff import lines

    found = compare_judges(view, number, wanted, against or [], again=again)
    if out:
        out.write_text(found.as_json(), encoding="utf-8")
    typer.echo(visible("\n".join(lines(found))))


@app.command("judge-bench")
def judge_bench(
    pools: Annotated[
        list[str], typer.Argument(metavar="POOL...", help="sandbox, RUN@ROUND, sampled:SET, anchors:PATH, [KIND:]PATH.")
    ],
    judge: Annotated[
        list[str], typer.Option(metavar="SPEC", help="Keys of a recipe's judge, key=value,..., or a YAML file of some.")
    ],
    model: Annotated[str, typer.Option(help="Who judge.model=policy is, as in `probe`.")] = "sandbox:seed-0",
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Other keys of the recipe, engine.threads=2.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=2, help="At most so many prompts (rows of a file) a pool.")] = None,
    again: Annotated[bool, typer.Option(help="Ask each judge that samples twice, to know its noise.")] = True,
    out: Annotated[list[Path] | None, typer.Option(help="Also write it: .html, .md or .json; may be repeated.")] = None,
    results: Results = RESULTS,
) -> None:
    """Any judges over labelled pools: quality, biases and noise with intervals, and what a judgment costs."""
    from selfreward.commands.judge_bench.bench import bench
    from selfreward.commands.judge_bench.output import NOTES, require_endings, tables, write
    from selfreward.commands.probe.models import subject
    from selfreward.progress import Progress
    from selfreward.report.terminal import console, print_table

    require_endings(out or [])
    progress = Progress()

    def existing(name: str) -> "RunView":
        return _store(results).existing(name)

    about = subject(model, change or [], existing, progress.say)
    found = bench(pools, judge, about, existing, progress, count=count, again=again)
    write(found, out or [])
    for table in tables(found):
        print_table(table, console())
    typer.echo("\n".join([*NOTES, *(f"written: {path}" for path in out or [])]))


@app.command()
def canary(
    recipe: RecipeFile,
    overrides: Overrides = None,
    prompts: Annotated[int, typer.Option(min=2, help="How many prompts are asked, of the gate pool first.")] = 60,
) -> None:
    """Before any training: are the pairs that this recipe's judge would make better than chance?"""
    from selfreward.progress import Progress
    from selfreward.recipe.read import load_recipe

    loaded = load_recipe(recipe_file(recipe), overrides or [])
    from selfreward.commands.canary.command import canary_command
    from selfreward.report.terminal import console, print_table

    verdict, table = canary_command(loaded, Progress(), prompts)
    typer.echo(verdict.sentence)
    print_table(table, console())


@app.command()
def probe(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="sandbox:seed-K, a directory, or RUN@ROUND.")],
    overrides: Overrides = None,
    family: Annotated[
        str | None, typer.Option(help="Some of truth, length, form, refusal, diversity, judge, sycophancy, behaviour.")
    ] = None,
    probe_file: Annotated[
        list[str] | None, typer.Option(metavar="[KIND:]PATH", help="A labelled file to ask from; may be repeated.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="A prompt file, or own:NAME.")] = None,
    pool: Annotated[Literal["gate", "selection", "report"], typer.Option(help="Without a file.")] = "report",
    count: Annotated[int | None, typer.Option(min=2, help="At most so many prompts of each set.")] = None,
    questions: Annotated[int, typer.Option(min=2, help="At most so many questions of each conversation.")] = 200,
    against: Annotated[str | None, typer.Option(metavar="MODEL", help="Also: paired differences to this one.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write it to this .json or .md file.")] = None,
    results: Results = RESULTS,
) -> None:
    """Metric families on any checkpoint, without a loop."""
    from selfreward.commands.probe.command import probe_command
    from selfreward.progress import Progress
    from selfreward.report.terminal import console, print_table

    made, notes = probe_command(
        model,
        overrides or [],
        lambda name: _store(results).existing(name),
        Progress(),
        family=family,
        files=probe_file or [],
        source=source,
        pool=pool,
        count=count,
        questions=questions,
        against=against,
        out=out,
    )
    for table in made:
        print_table(table, console())
    typer.echo(visible("\n".join(notes + ([f"written: {out}"] if out else []))))


@app.command()
def chat(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="RUN@best, RUN@last or RUN@K, a directory, sandbox:seed-K.")
    ],
    overrides: Overrides = None,
    against: Annotated[str | None, typer.Option(metavar="MODEL", help="Another one beside it.")] = None,
    results: Results = RESULTS,
) -> None:
    """Talk with a policy, or with two side by side. Keys such as generate.sampling.temperature=0 may be set."""
    from selfreward.commands.probe.models import subject
    from selfreward.progress import Progress

    say, changes = Progress().say, overrides or []
    names = [model, *([against] if against else [])]
    subjects = [subject(name, changes, lambda run: _store(results).existing(run), say) for name in names]
    from selfreward.commands.chat import chat as talk
    from selfreward.commands.chat import typed
    from selfreward.report.terminal import console

    talk(subjects[0], subjects[1] if against else None, typed, console())


@app.command("win-rate")
def win_rate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Annotations, votes or comparisons.")],
    responses: Annotated[
        list[Path] | None, typer.Option(help="The answers that a run's comparisons name; may be repeated.")
    ] = None,
    people: Annotated[Path | None, typer.Option(help="People's votes about the same models: correlation.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write it to this JSON file.")] = None,
) -> None:
    """Raw and length-controlled win rates from a file of preferences: alpaca_eval, pairwise votes, or a run's own."""
    from selfreward.commands.win_rate.win_rates import win_rate_command
    from selfreward.report.terminal import console, print_table

    table, said = win_rate_command(files, responses or [], people, out)
    print_table(table, console())
    typer.echo("\n".join(said), nl=bool(said))


@app.command()
def export(
    run_name: RunName,
    round_wanted: Annotated[str, typer.Option("--round", metavar="best|last|K", help="Which policy.")] = "best",
    out: Annotated[Path | None, typer.Option(help="An empty or new directory; exports/RUN-round-K otherwise.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="Instead: the run's preference pairs, in this directory.")] = None,
    to_hub: Annotated[
        str | None, typer.Option(metavar="ORG/NAME", help="Also upload it; without --yes a dry run.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Really upload.")] = False,
    results: Results = RESULTS,
) -> None:
    """Copy a round's policy to a directory that model servers load, or its pairs to a data set, with a card."""
    from selfreward.commands.export import export as export_round
    from selfreward.commands.export import resolve_round
    from selfreward.commands.export_pairs import export_pairs
    from selfreward.commands.to_hub import publish

    view = _store(results).existing(run_name)
    if pairs is not None:
        if out is not None or round_wanted != "best":
            raise RecipeError("--pairs exports the pairs of all rounds; remove --round and --out")
        publish(partial(export_pairs, view), pairs, "dataset", to_hub, really=yes, say=typer.echo)
        return
    number = resolve_round(view, round_wanted)
    directory = out or Path("exports") / f"{view.name}-round-{number}"
    publish(partial(export_round, view, number), directory, "model", to_hub, really=yes, say=typer.echo)


@app.command()
def plan(
    recipe: RecipeFile,
    overrides: Overrides = None,
    device: Annotated[str, typer.Option(help="h100, h200, a100-80, l40s, 4090 or cpu-core.")] = "h100",
    model: Annotated[str | None, typer.Option(help="A known model, such as llama-3-8b, instead of model.path.")] = None,
    prompt_tokens: Annotated[int, typer.Option(min=1, help="Mean length of a prompt.")] = 150,
    rubric_tokens: Annotated[int, typer.Option(min=1, help="Length of the judge's instructions.")] = 400,
    response_tokens: Annotated[int | None, typer.Option(min=1, help="Of an answer; its limit otherwise.")] = None,
    judgment_tokens: Annotated[int | None, typer.Option(min=1, help="Of a judgment; its limit otherwise.")] = None,
    taken: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Also: what this run really took.")] = None,
    results: Results = RESULTS,
) -> None:
    """What a recipe will cost: tokens and hours of every stage, peak memory, disk. Nothing is loaded or started."""
    from selfreward.commands.plan.text import print_plan
    from selfreward.recipe.read import load_recipe

    loaded = load_recipe(recipe_file(recipe), overrides or [])
    view = _store(results).existing(taken) if taken else None
    lengths = {"prompt": prompt_tokens, "rubric": rubric_tokens, "response": response_tokens}
    print_plan(loaded, device, model, {**lengths, "judgment": judgment_tokens}, view, typer.echo)


@app.command()
def gc(results: Results = RESULTS) -> None:
    """Remove shared artifacts that no run uses any more."""
    done = _store(results).gc()
    typer.echo(f"removed {done.removed} shared artifacts ({done.freed_bytes / 2**20:.1f} MiB freed), kept {done.kept}")


@app.command()
def doctor(
    model: Annotated[str | None, typer.Option(help="Also load this model directory.")] = None,
    results: Results = RESULTS,
) -> None:
    """Versions, device, memory, disk and file system: what is there and what to do about it."""
    from selfreward.commands.doctor import examine

    for finding in examine(results, Path(model) if model else None):
        mark, color = ("ok", typer.colors.GREEN) if finding.ok else ("warning", typer.colors.YELLOW)
        typer.echo(f"{typer.style(f'{mark:8}', fg=color)} {finding.what:13} {finding.found}")
        if finding.todo:
            typer.echo(f"{'':22} -> {finding.todo}")


@app.command()
def validate(
    out: Annotated[Path, typer.Option(help="Where the tables go.")] = RESULTS / "tables",
    only: Annotated[Literal["all", "coverage", "power"], typer.Option(help="Intervals, or metrics and gates.")] = "all",
    quick: Annotated[bool, typer.Option(help="A few repeats, to see that it works: no numbers to believe.")] = False,
) -> None:
    """Prove the ruler: do intervals cover, metrics stay silent on nulls and find planted effects, gates keep 5 %."""
    from selfreward.commands.validate.run import QUICK, Repeats
    from selfreward.commands.validate.run import validate as prove
    from selfreward.progress import Progress

    for path in prove(out, only, QUICK if quick else Repeats(), Progress().say):
        typer.echo(str(path))


@sandbox.command("train")
def sandbox_train(
    out: Annotated[Path | None, typer.Option(help="A new directory; the recipes' cache otherwise.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Weights, lessons and their order.")] = 0,
    dial: Annotated[
        list[str] | None, typer.Option(metavar="D=V", help="Go on from the seed with a bias, length_bias=0.8 say.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Training tokens in all, with --out; the proven budget otherwise.")
    ] = None,
) -> None:
    """Train a seed model from nothing, a quarter of an hour on one core, or go on from one under dials."""
    from selfreward.tasks.sandbox.seeds.names import SeedName, read_dials

    name = SeedName(seed, read_dials(dial or [], "--dial"))
    if out is None and tokens is not None:
        raise RecipeError("--tokens: the cache holds models of the proven budget only; give --out too")
    if out and out.exists() and any(out.iterdir()):
        raise StoreError(f"{out}: exists and is not empty; a model is never overwritten, choose another --out")
    from selfreward.progress import Progress
    from selfreward.tasks.sandbox.seeds.cache import recipe_of, seed_directory, train_model
    from selfreward.tasks.sandbox.seeds.recipe import with_budget

    say = Progress().say
    if out is None:
        typer.echo(f"done: {seed_directory(name, say)}")
        return
    recipe = recipe_of(name) if tokens is None else with_budget(recipe_of(name), tokens)
    train_model(recipe, seed_directory(SeedName(seed), say) if name.dials else None, out, say)
    typer.echo(f"done: {out}")


@sandbox.command("skill")
def sandbox_skill(directory: Annotated[Path, typer.Argument(help="A model that was trained in the sandbox.")]) -> None:
    """Measure a sandbox model against the truth."""
    from selfreward.tasks.sandbox.seeds.floors import skill_table
    from selfreward.tasks.sandbox.seeds.skill import measure_skill

    typer.echo(skill_table(measure_skill(directory)))


def _tell_end(directory: Path, further: str) -> None:
    """The verdict of a run that is over, and where to look further."""
    from selfreward.report.verdict_file import verdict_of
    from selfreward.store.view import RunView

    found = verdict_of(RunView(directory))
    typer.echo(visible("\n".join([f"done: {directory}", found.headline, *found.details, f"see:  {further}"])))


def _store(results: Path) -> "Store":
    from selfreward.store.results import Store

    return Store(results)


def main() -> None:
    """Run the command and end the process with its exit code."""
    # Nothing is told to anybody, and other libraries' bars and hints do not run through ours.
    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    run_command(partial(app, prog_name="selfreward"))
