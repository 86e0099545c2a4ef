"""`probe`, `chat` and `export`: what may be done with one policy."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from selfreward.commands.wiring.arguments import RESULTS, Overrides, Results, RunName, store_in
from selfreward.errors import RecipeError
from selfreward.progress.words import visible


def probe(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="sandbox:seed-K, a directory, or RUN@ROUND.")],
    overrides: Overrides = None,
    family: Annotated[
        str | None,
        typer.Option(
            help="Some of truth,length,form,refusal,diversity,judge,sycophancy,behaviour,choices; "
            "if named: conversation."
        ),
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
        lambda name: store_in(results).existing(name),
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
    subjects = [subject(name, changes, lambda run: store_in(results).existing(run), say) for name in names]
    from selfreward.commands.chat import chat as talk
    from selfreward.commands.chat import typed
    from selfreward.report.terminal import console

    talk(subjects[0], subjects[1] if against else None, typed, console())


def export(
    run_name: RunName,
    round_wanted: Annotated[str, typer.Option("--round", metavar="best|last|K", help="Which policy.")] = "best",
    out: Annotated[Path | None, typer.Option(help="An empty or new directory; exports/RUN-round-K otherwise.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="Instead: the run's preference pairs, in this directory.")] = None,
    tasks: Annotated[
        Path | None, typer.Option(help="Instead: the policy and the run's pools, for inspect_ai and lm_eval, in here.")
    ] = None,
    lessons: Annotated[
        Path | None,
        typer.Option(help="Instead: answers with the verifier's verdict as lessons for a judge, this file."),
    ] = None,
    to_hub: Annotated[
        str | None, typer.Option(metavar="ORG/NAME", help="Also upload it; without --yes a dry run.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Really upload.")] = False,
    results: Results = RESULTS,
) -> None:
    """Copy a round's policy to a directory that model servers load, or its pairs to a data set, with a card."""
    from selfreward.commands.export import export as export_round
    from selfreward.commands.export import resolve_round
    from selfreward.commands.export_lessons import export_lessons
    from selfreward.commands.export_pairs import export_pairs
    from selfreward.commands.to_hub import publish

    view = store_in(results).existing(run_name)
    if lessons is not None:
        others = (out, pairs, tasks, to_hub)
        if any(other is not None for other in others) or round_wanted != "best":
            raise RecipeError(
                "--lessons writes one file about all rounds; remove --round, --out, --pairs, --tasks and --to-hub"
            )
        typer.echo(f"{lessons}: {export_lessons(view, lessons)}")
        typer.echo(f"use:  train.method=sft train.examples={lessons} judge.source=none")
        return
    if pairs is not None:
        if out is not None or tasks is not None or round_wanted != "best":
            raise RecipeError("--pairs exports the pairs of all rounds; remove --round, --out and --tasks")
        publish(partial(export_pairs, view), pairs, "dataset", to_hub, really=yes, say=typer.echo)
        return
    number = resolve_round(view, round_wanted)
    if tasks is not None:
        from selfreward.commands.harness.bundle import export_tasks

        if out is not None or to_hub is not None:
            raise RecipeError("--tasks writes a directory for this machine; remove --out and --to-hub")
        typer.echo(f"{export_tasks(view, number, tasks)}: {tasks}")
        return
    directory = out or Path("exports") / f"{view.name}-round-{number}"
    publish(partial(export_round, view, number), directory, "model", to_hub, really=yes, say=typer.echo)
