"""`selfreward answer`: the best of N answers to every prompt of a file, by any judge that a recipe can have.

Rows go to standard output, or to `--out`; a file that is there is written anew, whole or not at all.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfreward.commands.wiring.arguments import RESULTS, Results, store_in
from selfreward.errors import RecipeError
from selfreward.progress.words import visible

if TYPE_CHECKING:
    from selfreward.store.view import RunView

ENDING = ".jsonl"


def answer(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="sandbox:seed-K, a directory, or RUN@ROUND.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="A prompt file, or own:NAME.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Recipe keys, generate.sampling.temperature=1.")
    ] = None,
    judge: Annotated[
        str, typer.Option(metavar="SPEC", help="Keys of a recipe's judge, key=value,..., or a YAML file of one.")
    ] = "model=policy",
    n: Annotated[int, typer.Option("--n", min=2, help="Answers that each prompt gets.")] = 8,
    candidates: Annotated[bool, typer.Option("--candidates", help="Rows also hold all N, with scores.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="At most so many prompts.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the rows to this .jsonl file instead.")] = None,
    results: Results = RESULTS,
) -> None:
    """Answer prompts by best of N: N answers each, scored as the loop scores them, the best one a row."""
    if out is not None and out.suffix != ENDING:
        raise RecipeError(f"--out {out}: rows are JSON Lines; expected a name that ends with {ENDING}")
    from selfreward.commands.best_answers import best_answers, summary
    from selfreward.commands.probe.models import subject
    from selfreward.progress import Progress
    from selfreward.store.files import on_disk, write_durably
    from selfreward.tasks.sets.sets import read_set, some

    def existing(name: str) -> "RunView":
        return store_in(results).existing(name)

    prompts = some(read_set(file).prompts, count)
    progress = Progress()
    who = subject(model, overrides or [], existing, progress.say)
    answered = best_answers(who, judge, prompts, n, progress)
    lines = [_line(one.row(candidates)) for one in answered]
    if out is None:
        typer.echo("\n".join(lines))
    else:
        with on_disk(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            write_durably(out, "".join(f"{line}\n" for line in lines).encode())
    for line in [*summary(answered), *([f"written: {out}"] if out else [])]:
        progress.say(line)


def _line(row: dict[str, Any]) -> str:
    """One line of JSON that no terminal obeys: a row with a control character is written in ASCII."""
    line = json.dumps(row, ensure_ascii=False)
    return line if visible(line) == line else json.dumps(row)
