"""Talking with one policy or two: real models, one conversation a side, the same words the same replies."""

import io
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.console import Console

from selfreward.commands.chat import HELP, Side, chat, seated, side_by_side, told
from selfreward.commands.probe.models import Subject, subject
from selfreward.engines.protocol import Completion
from selfreward.errors import DataError
from selfreward.records import Message
from selfreward.store.view import RunView

COMMAND = [sys.executable, "-m", "selfreward", "chat"]
ASKED = "sort : 3 1 2"


def nowhere(name: str) -> RunView:
    raise AssertionError(f"no run is to be looked up here: {name}")


@pytest.fixture(scope="module")
def models() -> tuple[Subject, Subject]:
    first, second = (subject(f"sandbox:seed-{seed}", ["model.device=cpu"], nowhere) for seed in (0, 1))
    return first, second


@pytest.fixture(scope="module")
def sides(models: tuple[Subject, Subject]) -> Iterable[list[Side]]:
    with seated(models) as made:
        yield made


def said(models: tuple[Subject, Subject | None], lines: Iterable[str], width: int = 120) -> str:
    stream, rest = io.StringIO(), iter(lines)
    chat(models[0], models[1], lambda: next(rest, None), Console(file=stream, width=width))
    return stream.getvalue()


def test_two_models_hold_their_own_weights_and_their_own_conversations(sides: list[Side]) -> None:
    engines = [side.player.hold() for side in sides]
    assert engines[0] is not engines[1]
    assert [engine.policy for engine in engines] == [side.subject.policy.digest for side in sides]
    replies = [side.reply(ASKED, 0) for side in sides]
    for side, reply in zip(sides, replies, strict=True):
        assert side.said == [Message("user", ASKED), Message("assistant", reply.text)]
        side.said.clear()


def test_the_same_words_give_the_same_reply_and_again_another_draw(sides: list[Side]) -> None:
    side = sides[0]
    draws = []
    for number in (0, 0, *range(1, 12)):
        draws.append(side.reply(ASKED, number).text)
        side.forget_last()
        assert side.said == []
    assert draws[0] == draws[1] and len(set(draws)) > 1


def test_a_second_turn_is_asked_with_the_first_in_front(sides: list[Side]) -> None:
    side = sides[0]
    side.reply(ASKED, 0)
    side.reply(ASKED, 0)
    assert [turn.role for turn in side.said] == ["user", "assistant"] * 2
    side.said.clear()


def test_commands_and_replies_side_by_side(models: tuple[Subject, Subject]) -> None:
    shown = said(models, ["/again", "", ASKED, "/again", "/new", ASKED, "/nothing", "/quit", ASKED])
    assert shown.startswith(HELP) and "nothing was said yet" in shown and "/nothing is no command" in shown
    tables = [line for line in shown.splitlines() if "sandbox:seed-0" in line and "sandbox:seed-1" in line]
    assert len(tables) == 3, "two replies and one again; nothing after /quit"
    first, _, last = shown.split("sandbox:seed-1")[1:]
    assert first.split("│")[1:3] == last.split("│")[1:3], "a new conversation begins as the first did"


def test_a_narrow_terminal_has_one_reply_below_the_other_and_no_escape_reaches_it() -> None:
    replies = [(name, Completion(f"{name} says \x1b[2J", "", (1,), "stop")) for name in ("one", "two")]
    stream = io.StringIO()
    Console(file=stream, width=40).print(side_by_side(replies, 40))
    assert stream.getvalue().index("one says") < stream.getvalue().index("two:")
    assert "\x1b" not in stream.getvalue() and "\\x1b" in stream.getvalue()


def test_a_reply_that_did_not_end_by_itself_says_so() -> None:
    assert told(Completion("a", "", (1, 2), "length")) == "a … (cut off after 2 tokens)"
    assert "too long" in told(Completion("", "", (), "too long"))


def test_models_that_no_question_can_be_put_to_are_refused(models: tuple[Subject, Subject]) -> None:
    import dataclasses

    with pytest.raises(DataError, match="no question can be put to both"):
        said((models[0], dataclasses.replace(models[1], sandbox=False)), [ASKED])


@pytest.mark.slow
def test_the_command_reads_lines_from_a_pipe(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            input=f"{ASKED}\n",
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    done = run("sandbox:seed-0", "generate.sampling.temperature=0")
    assert done.returncode == 0 and "sandbox:seed-0" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []
    for wrong, code in (("nix@best", 4), ("nix", 3)):
        done = run(wrong)
        assert done.returncode == code and "Traceback" not in done.stderr
