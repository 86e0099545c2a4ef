"""`selfreward init`: a commented recipe for this machine, this model and this data. A run guesses nothing: it reads.

Without a model it is the sandbox's recipe. With one and without data, the prompts are the English requests that ship,
whose instructions a verifier checks. Every key stands there with its reason; the result passes `selfreward check`.
"""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.errors import DataError, RecipeError

SANDBOX = """\
# Shows: a tiny model that improves by judging its own answers, in a world whose truth is known.
# Hardware: one CPU core, under 2 GB of memory; no download.
# Minutes: about 2 on one core.
seed: 0 # of every draw; another seed is another run of the same experiment
rounds: 3 # may be raised later: the same command goes on
model:
  path: sandbox:seed-0 # ships with the package, as do seed-1 and seed-2
prompts:
  per_round: 600 # fresh ones every round
generate:
  samples: 6 # answers to each prompt: the best and the worst become a pair
judge:
  aggregate: {samples: 3} # judgments of each answer; their mean is its score
meta:
  enabled: false # true: the model also compares its own judgments and is trained on the better ones
train:
  reference: previous # the round's start, as in the paper
  beta: 0.3 # how much a margin counts; proved in the sandbox
  nll: 0.2 # keeps the chosen answers likely
# measure:
#   held_out: {model: sandbox:seed-1} # a judge that is not trained here would tell whether it only pleases itself
# limits:
#   hours: 1 # stops in good order; the same command goes on
"""


def init(
    model: Annotated[
        str | None, typer.Option(metavar="DIR|ID", help="A model directory, or an id that was downloaded before.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your prompts: JSON Lines, CSV, parquet or a saved data set.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Preference pairs that alone are trained on, in TRL's forms.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="Of --data, where it is not prompt, answer, id: answer=solution."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The recipe to write.")] = Path("recipe.yaml"),
) -> None:
    """Write a commented recipe for this machine, a model and a file of prompts or of pairs."""
    if out.exists():
        raise RecipeError(f"{out}: exists, and a recipe is never overwritten; choose another --out or remove it")
    if not out.parent.is_dir():
        raise RecipeError(f"{out.parent}: no such directory; make it, or choose another --out")
    if model is None and data is not None:
        raise RecipeError("--data is for a model that reads it; give --model too (the sandbox has prompts of its own)")
    if pairs is not None and (model is None or data is not None):
        raise RecipeError("--pairs brings its own prompts and is for a model: give --model, and leave --data out")
    if column and data is None:
        raise RecipeError("--column names the columns of --data; give --data too")
    from selfreward.commands.init_data import columns_of, deal, deal_pairs
    from selfreward.commands.init_recipe import recipe_for

    dealt = deal(data, out, columns_of(column or [])) if data is not None else None
    dealt = deal_pairs(pairs, out) if pairs is not None else dealt
    if dealt is not None:
        typer.echo(dealt.words())
    if model is not None:
        typer.echo("measuring the model on this machine, up to a minute or two where it is slow", err=True)
    text = SANDBOX if model is None else recipe_for(*_directory(model), dealt)
    if dealt is not None:
        dealt.write()
    out.write_text(text, encoding="utf-8")
    typer.echo(f"written: {out}\nnext:    selfreward check {out}\nthen:    selfreward run {out}")


def _directory(model: str) -> tuple[str, Path]:
    """What model.path is to be, and where its files lie. Nothing is downloaded."""
    from selfreward.commands.preflight_models import model_directory
    from selfreward.tasks.sandbox.seeds.names import is_seed_name

    if is_seed_name(model):
        raise RecipeError(f"--model {model}: a sandbox model needs no recipe for itself; leave --model out")
    if Path(model).is_dir():
        return model, model_directory(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(model, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError) as problem:
        name = model.rpartition("/")[2] or "MODEL"
        raise DataError(
            f"--model {model!r}: no such directory, and no model of that id was downloaded before; "
            f"`hf download {model} --local-dir models/{name}`, then --model models/{name}"
        ) from problem
    return found, Path(found)
