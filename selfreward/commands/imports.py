"""`selfreward import`: data sets of a known form as files that a recipe names."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from selfreward.errors import DataError, StoreError

imports = typer.Typer(help="Data sets of a known form, as files that a recipe names.", no_args_is_help=True)


@imports.callback()
def _group() -> None:
    """A group although it has one command: others have room beside it."""


@imports.command()
def ultrafeedback(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A file or directory, or hub:ORG/NAME.")],
    out: Annotated[Path, typer.Option(help="The new JSON Lines file of pairs.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the lot that draws the rejected answer.")] = 0,
) -> None:
    """Pairs: the completion with the best mean of its four ratings against a random other one, without ties."""
    from selfreward.tasks.ultrafeedback import ultrafeedback_pairs

    if out.exists():
        raise StoreError(f"{out}: exists; a file is never overwritten, choose another --out")
    dropped: Counter[str] = Counter()
    pairs = [json.dumps(pair, ensure_ascii=False) for pair in ultrafeedback_pairs(source, seed, dropped)]
    if not pairs:
        raise DataError(f"{source}: no row made a pair ({_counted(dropped)})")
    out.write_text("".join(f"{pair}\n" for pair in pairs), encoding="utf-8")
    typer.echo(f"{out}: {len(pairs)} pairs; rows without one: {_counted(dropped)}")
    typer.echo(f"use:  pairs.mix.external={out} pairs.mix.external_share=0.3, or pairs.rule=given pairs.path={out}")


def _counted(dropped: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items())) or "none"
