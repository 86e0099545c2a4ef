"""The command. Wiring only: each function of `wiring/` reads arguments, calls one elsewhere and prints what it says.

Results go to stdout, progress and errors to stderr. How it ends is in exits.py. What is heavy is imported where it is
used, and after what can already fail without it.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Annotated

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
from selfreward.commands.wiring.arguments import RESULTS
from selfreward.commands.wiring.before import canary, plan
from selfreward.commands.wiring.judges import judge_bench, judge_diff, win_rate
from selfreward.commands.wiring.once import refuse_repeats
from selfreward.commands.wiring.policies import chat, export, probe
from selfreward.commands.wiring.reading import compare, report, schema, show
from selfreward.commands.wiring.runs import fork, run
from selfreward.commands.wiring.sandbox import sandbox
from selfreward.commands.wiring.upkeep import doctor, gc, validate
from selfreward.progress.words import visible

app = typer.Typer(
    help="Self-rewarding iterative DPO on one device or several, with the measurements that say whether it helped.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(sandbox, name="sandbox")
app.add_typer(anchors, name="anchors")
app.add_typer(imports, name="import")

COMMANDS: tuple[Callable[..., None], ...] = (
    *(recipes, init, check, ablate, answer),
    *SEE,
    *(run, fork, report, compare, show, schema),
    *(judge_diff, judge_bench, canary, probe, chat, win_rate, export, plan, gc, doctor, validate),
)
"""Every command, in the order of --help, by its function's name."""

for command in COMMANDS:
    app.command()(command)
refuse_repeats(app)


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


def main() -> None:
    """Run the command and end the process with its exit code."""
    # Nothing is told to anybody, and other libraries' bars and hints do not run through ours.
    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    run_command(partial(app, prog_name="selfreward"))
