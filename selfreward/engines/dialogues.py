"""Many dialogues with one engine at once: what each asks next depends on the replies to it alone.

An engine that takes requests while others run (`Converser`) lets every dialogue go at its own pace. Any other is asked
in waves: the next requests of all dialogues together, then the next, so that it has batches. Both ways a dialogue's
n-th requests are its n-th, so requests whose seeds follow from that number get the same replies.
"""

import itertools
from collections.abc import Callable, Sequence

from selfreward.engines.protocol import Asker, Completion, Converser, Dialogue, Request


def hold(engine: Asker, dialogues: Sequence[Dialogue], wave_seed: Callable[[int], int]) -> None:
    """Hold all dialogues to their ends. `wave_seed`: the seed of the n-th `generate` call, for engines in waves."""
    if isinstance(engine, Converser):
        engine.converse(dialogues)
        return
    waiting = [(dialogue, go_on(dialogue, None)) for dialogue in dialogues]
    for wave in itertools.count():
        waiting = [(dialogue, requests) for dialogue, requests in waiting if requests]
        if not waiting:
            return
        asked = [request for _, requests in waiting for request in requests]
        replies = iter(engine.generate(asked, wave_seed(wave)))
        waiting = [(dialogue, go_on(dialogue, [next(replies) for _ in requests])) for dialogue, requests in waiting]


def go_on(dialogue: Dialogue, replies: list[list[Completion]] | None) -> Sequence[Request]:
    """The dialogue's next requests after `replies`, its first ones after None; nothing when it has ended."""
    try:
        return next(dialogue) if replies is None else dialogue.send(replies)
    except StopIteration:
        return ()
