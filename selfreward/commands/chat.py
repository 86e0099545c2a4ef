"""`selfreward chat`: talk with a policy, or with two of them side by side, as the run's own generator is asked.

Every side keeps its own conversation: what you say is the same, what was answered is not. Replies are sampled with the
recipe's `generate.sampling`, with seeds that depend on the recipe's seed and the turn alone, so the same words give the
same replies. transformers holds both sides' weights at a time; vLLM, which takes the whole device, swaps them.

    /again  another reply to the last words      /new  begin anew      /quit  (or the end of the input)
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.table import Table

from selfreward.commands.exits import Stopped
from selfreward.commands.probe.models import Subject, like
from selfreward.engines.protocol import Completion, Request
from selfreward.records import Message, Prompt, seed_for, stable_id
from selfreward.report.terminal import words
from selfreward.roles import generator
from selfreward.roles.cast import Cast
from selfreward.roles.player import Player

NARROW = 72
"""Columns of a terminal below which two replies stand one below the other."""
HELP = "/again  another reply     /new  begin anew     /quit  end"


@dataclass
class Side:
    """One model and its conversation so far."""

    subject: Subject
    player: Player
    said: list[Message] = field(default_factory=list)

    def reply(self, text: str, number: int) -> Completion:
        """The model's reply to `text` after all that was said; it becomes part of the conversation."""
        generate, seed = self.subject.recipe.generate, self.subject.recipe.seed
        sampling = generate.sampling
        turns = (*self.said, Message("user", text))
        asked = generator.ask(generate.template, Prompt(stable_id("chat", text), turns, "report", "chat"))
        own = seed_for(seed, "chat", len(self.said), number)
        request = Request("chat", asked, 1, sampling.temperature, sampling.top_p, sampling.max_tokens, own, False)
        ((completion,),) = self.player.hold().generate([request], own)
        self.said = [*turns, Message("assistant", completion.text)]
        return completion

    def forget_last(self) -> None:
        del self.said[-2:]


@contextmanager
def seated(subjects: Sequence[Subject]) -> Iterator[list[Side]]:
    """Every model, ready to be asked; engines end with the block."""
    with ExitStack() as stack:
        sides: list[Side] = []
        casts: list[Cast] = []
        for subject in subjects:
            if not casts or subject.recipe.engine.kind != "vllm":
                casts.append(stack.enter_context(closing(Cast(subject.recipe, lambda policy, report: None))))
            casts[-1].policies.append(subject.policy)
            sides.append(Side(subject, casts[-1].player(subject.policy)))
        yield sides


def chat(first: Subject, other: Subject | None, read: Callable[[], str | None], out: Console) -> None:
    """Until `read` has no more words. Raises DataError where no question can be put to both."""
    subjects = [first] if other is None else [first, like(first, other)]
    with seated(subjects) as sides:
        out.print(words(HELP, style="italic"))
        last, number = "", 0
        while (text := read()) is not None and text != "/quit":
            if text == "/new":
                last, number = "", 0
                for side in sides:
                    side.said.clear()
                out.print(words("a new conversation", style="italic"))
                continue
            if text == "/again" and last:
                number += 1
                for side in sides:
                    side.forget_last()
            elif text.startswith("/"):
                nothing = "nothing was said yet" if text == "/again" else f"{text} is no command"
                out.print(words(f"{nothing}; {HELP}", style="italic"))
                continue
            elif text:
                last, number = text, 0
            else:
                continue
            out.print(side_by_side([(side.subject.name, side.reply(last, number)) for side in sides], out.width))


def side_by_side(replies: Sequence[tuple[str, Completion]], width: int) -> RenderableType:
    """One column for each reply; one row for each where the terminal is narrow."""
    table = Table(expand=True, show_lines=len(replies) > 1, show_header=width >= NARROW)
    shown = [words(told(reply)) for _, reply in replies]
    if width >= NARROW:
        for name, _ in replies:
            table.add_column(words(name), ratio=1, overflow="fold")
        table.add_row(*shown)
    else:
        for (name, _), text in zip(replies, shown, strict=True):
            table.add_row(words(f"{name}:\n") + text)
    return table


def told(reply: Completion) -> str:
    """The reply, and why it ended where it did not end by itself."""
    if reply.finish_reason == "stop":
        return reply.text
    if reply.finish_reason == "too long":
        return "(the conversation is too long for this model; /new begins anew)"
    return f"{reply.text} … (cut off after {len(reply.token_ids)} tokens)"


def typed() -> str | None:
    """A line from the person, or from a file that stands for one; None at its end, and where a signal ends it."""
    person = sys.stdin.isatty()
    if person:
        import readline  # noqa: F401 - arrows and history for `input`
    try:
        return input("> " if person else "").strip()
    except (EOFError, Stopped):
        return None
