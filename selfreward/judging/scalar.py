"""Stage: a reward model gives every answer a number, which becomes a score.

    score = 5 / (1 + e^-r)

r is a Bradley-Terry strength with 0 at an average answer (training/reward_rows.py), so the score is five times the
probability that an average answer loses, as a rating by comparisons is (scoring/tournament.py); and a reward of a
policy gradient, -1 to 1 on that scale, is tanh(r / 2): bounded, so that no single answer is worth any price. r itself
stands as the judgment's text. The order of answers is r's, up to the last digits at both ends of the scale.

The model reads the text of an answer, as every judge does: an answer that was cut looks like one that ended there.
One that does not fit into its context is unreadable.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from selfreward.engines.chat import ChatRenderer
from selfreward.engines.protocol import TOO_LONG, Completion
from selfreward.judging.stage import Stage
from selfreward.recipe import SamplingRecipe
from selfreward.recipe.scale import HIGHEST
from selfreward.records import Judgment, Prompt, Response
from selfreward.roles import generator
from selfreward.roles.chunks import longest
from selfreward.roles.player import Player
from selfreward.roles.unreadable import Unreadable
from selfreward.store.run import Work

VERSION = 1
TEMPLATE = "scalar"


def as_score(reward: float) -> float:
    """Of any finite number, without an overflow."""
    half = math.tanh(reward / 2)
    return HIGHEST * (1 + half) / 2


def reward_of(judgment: Judgment) -> float:
    """The number that a scalar judgment was made of."""
    return float(judgment.text)


def judge_scalar(
    player: Player,
    scorer: Callable[[Sequence[tuple[int, ...]]], list[float]],
    limit: Callable[[], int],
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    template: str,
    renderer_of: Callable[[], ChatRenderer],
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str = "judgments",
) -> Work[Response, Judgment]:
    """Work that yields one Judgment per response by `scorer`, which holds the player's reward model.

    `template` is the generator's: answers are read where they stood. No row may have more tokens than `limit`.
    """
    stage = Stage(player, SamplingRecipe(), round, artifact, TEMPLATE)

    def compute(chunk: Sequence[Response], index: int) -> Iterator[Judgment]:
        renderer = renderer_of()
        asked = renderer.prompt_token_ids([generator.ask(template, prompts[one.prompt_id]) for one in chunk])
        rows = [(*question, *renderer.reply_token_ids(one.text)) for question, one in zip(asked, chunk, strict=True)]
        fitting = [position for position, row in enumerate(rows) if len(row) <= limit()]
        values = dict(zip(fitting, scorer([rows[position] for position in fitting]), strict=True))
        for position, one in enumerate(chunk):
            named = stage.name(one.id, 0)
            if position in values:
                reply = Completion(repr(values[position]), "", (), "stop")
                yield stage.judgment(named, one, 0, reply, as_score(values[position]), player.seed)
            else:
                verdict = Unreadable("question too long", f"{len(rows[position])} tokens")
                yield stage.judgment(named, one, 0, TOO_LONG, verdict, player.seed)

    read = longest(prompts[one.prompt_id].text + one.text for one in responses)
    told = {"inputs": dict(made_from), "judge": {"protocol": "scalar"}, "generator": template}
    return stage.work(Judgment, responses, compute, told, version=VERSION, replies=1, tokens=read)
