"""Stage: ask a policy what a probe wants to know. The probe yields conversations, the policy replies, the probe counts.

The probe never sees an engine and the driver never counts anything, so that a probe is tested with scripted replies.
"""

from selfreward.engines.protocol import Request
from selfreward.measuring.evidence import AskedValue
from selfreward.measuring.probes.asked import Probe
from selfreward.recipe import GenerateRecipe, SamplingRecipe
from selfreward.records import seed_for
from selfreward.roles import generator
from selfreward.roles.chunks import chunks_for
from selfreward.roles.player import Player

GREEDY = SamplingRecipe(temperature=0.0, max_tokens=512)


def drive(
    player: Player, probe: Probe, generate: GenerateRecipe, sampling: SamplingRecipe = GREEDY
) -> list[AskedValue]:
    """Send every conversation to the player's policy, one reply each, until the probe has what it needs.

    Seeds depend on the run's seed, the turn and the question, not on the policy: two models are asked alike.
    """
    turn, conversations = 0, next(probe)
    while True:
        replies: list[str] = []
        for index, chunk in enumerate(chunks_for(player, list(conversations), 1, sampling.max_tokens)):
            requests = [
                Request(
                    id=f"probe/{turn}/{prompt.id}",
                    messages=generator.ask(generate.template, prompt),
                    n=1,
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    max_tokens=sampling.max_tokens,
                    seed=seed_for(player.seed, "probe", turn, prompt.id),
                    logprob=False,
                )
                for prompt in chunk
            ]
            completions = player.hold().generate(requests, seed_for(player.seed, "probe", turn, index))
            replies += [completion.text for (completion,) in completions]
        try:
            conversations = probe.send(replies)
        except StopIteration as finished:
            return list(finished.value)
        turn += 1
