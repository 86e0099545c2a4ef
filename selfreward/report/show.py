"""One prompt, round by round: its answers, what the judge gave them, the truth, and what became of them."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.report.browser import round_data
from selfreward.report.reading import Reading
from selfreward.report.tables import DASH
from selfreward.report.terminal import words
from selfreward.store.view import RunView

MOST_NAMED = 5


def find_prompt(reading: Reading, prompt_id: str) -> tuple[Prompt, int | None]:
    """The prompt whose id begins with `prompt_id`, and its round (None for a pool prompt, which every round answers).

    Raises DataError when none or several do.
    """
    matches: dict[str, tuple[Prompt, int | None]] = {
        prompt.id: (prompt, None) for prompt in reading.pools.values() if prompt.id.startswith(prompt_id)
    }
    for number in reading.view.rounds()[1:]:
        for prompt in reading.prompts_of(number):
            if prompt.id.startswith(prompt_id):
                matches.setdefault(prompt.id, (prompt, number))
    if prompt_id in matches:
        return matches[prompt_id]
    if not matches:
        raise DataError(
            f"run {reading.name!r}: no prompt {prompt_id!r}; expected the id of a row in round-NN/prompts.jsonl or "
            "round-00/pools.jsonl, or its first characters"
        )
    if len(matches) > 1:
        named = ", ".join(sorted(matches)[:MOST_NAMED]) + (", …" if len(matches) > MOST_NAMED else "")
        raise DataError(f"run {reading.name!r}: {prompt_id!r} begins {len(matches)} ids ({named}); give more of it")
    return next(iter(matches.values()))


def prompt_rounds(reading: Reading, prompt: Prompt, number: int | None) -> Iterator[dict[str, Any]]:
    """The prompt's rounds as plain data, in order."""
    numbers = reading.rounds if number is None else [number]
    for index in numbers:
        row = (reading.pool_answers if number is None else reading.train_answers)(index).get(prompt.id)
        if row is not None:
            yield round_data(row, reading.verifier)


def print_prompt(run: RunView, prompt_id: str, out: Console) -> None:
    """Print one prompt of a run with everything that is known about it."""
    reading = Reading(run)
    prompt, number = find_prompt(reading, prompt_id)
    out.print(
        words(f"{prompt.id} · {prompt.pool} pool · {prompt.cohort or 'no cohort'} · {prompt.source}", style="bold")
    )
    for message in prompt.messages:
        out.print(words(f"{message.role}: {message.content}"))
    for row in prompt_rounds(reading, prompt, number):
        out.print(words(f"\nround {row['round']}", style="bold underline"))
        for note in row["fates"]:
            out.print(words(f"  {note}"))
        for answer in row["answers"]:
            out.print(words(f"  {facts(answer)}", style="cyan"))
            out.print(words(f"    {answer['text']}"))


def facts(answer: dict[str, Any]) -> str:
    """One line about an answer: judge, truth, length, fate."""
    score = DASH if answer["score"] is None else f"{answer['score']:.2f}"
    scores = " ".join(f"{value:g}" for value in answer["scores"])
    parts = [f"judge {score} ({scores or 'no score'})"]
    if answer["unreadable"]:
        parts.append(f"unreadable: {', '.join(answer['unreadable'])}")
    if answer["quality"] is not None:
        parts.append(f"truth {answer['quality']:g} ({'right' if answer['correct'] else 'wrong'})")
    parts.append(f"{answer['tokens']} tokens" + (", cut off" if answer["finish_reason"] == "length" else ""))
    if answer["fate"]:
        parts.append(answer["fate"].upper())
    return " · ".join(parts)
