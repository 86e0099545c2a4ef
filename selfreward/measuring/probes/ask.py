"""Stage: the probes of a recipe are held with a policy: one value for each question, sealed before they are counted."""

from collections.abc import Iterator, Mapping, Sequence

from selfreward.measuring.evidence import AskedValue
from selfreward.measuring.probes.asked import moved
from selfreward.measuring.probes.drive import drive
from selfreward.measuring.probes.questions import Questions
from selfreward.recipe import Recipe, as_dict
from selfreward.records import Pool
from selfreward.roles import version
from selfreward.roles.player import Player
from selfreward.store.run import Work

VERSION = 1


def ask(
    player: Player, recipe: Recipe, asked: Mapping[str, tuple[Pool, Questions]], *, round: int
) -> Work[str, AskedValue]:
    """Work that yields a value per metric and question; every probe is a chunk."""
    sampling = recipe.measure.sampling

    def compute(chunk: Sequence[str], index: int) -> Iterator[AskedValue]:
        for name in chunk:
            pool, questions = asked[name]
            for start in questions.probes()[name]:
                yield from moved(drive(player, start(), recipe.generate, sampling), pool)

    return Work(
        round=round,
        artifact="asked",
        record=AskedValue,
        made_from={
            "version": VERSION,
            "round": round,
            "probes": {name: [pool, questions.told(name)] for name, (pool, questions) in asked.items()},
            "template": version("generator", recipe.generate.template),
            "sampling": as_dict(sampling),
            **player.determines(),
        },
        chunks=[[name] for name in asked],
        compute=compute,
    )
