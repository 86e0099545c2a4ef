"""`judge-diff`, `judge-bench` and `win-rate`: judges held against each other, and what preferences amount to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfreward.progress.words import visible

if TYPE_CHECKING:
    from selfreward.store.view import RunView
from selfreward.commands.wiring.arguments import RESULTS, Results, RunName, store_in


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
    view = store_in(results).existing(run_name)
    wanted = [*(changes or []), *([f"template={template}"] if template else [])]
    wanted += ["template=rubric", f"rubric={rubric}"] if rubric else []
    from selfreward.commands.judge_diff import judge_diff as compare_judges
    from selfreward.commands.judge_diff_text import lines

    found = compare_judges(view, number, wanted, against or [], again=again)
    if out:
        out.write_text(found.as_json(), encoding="utf-8")
    typer.echo(visible("\n".join(lines(found))))


def judge_bench(
    pools: Annotated[
        list[str],
        typer.Argument(
            metavar="POOL...",
            help="sandbox, rooms, RUN@ROUND, sampled:SET, anchors:PATH, trajectories:PATH, [KIND:]PATH.",
        ),
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
    wording: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Each judge also in these words; may be repeated.")
    ] = None,
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
        return store_in(results).existing(name)

    about = subject(model, change or [], existing, progress.say)
    found = bench(pools, judge, about, existing, progress, count=count, again=again, wordings=wording or [])
    write(found, out or [])
    for table in tables(found):
        print_table(table, console())
    typer.echo("\n".join([*NOTES, *(f"written: {path}" for path in out or [])]))


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
