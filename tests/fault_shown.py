"""What tries the rows of K5 (a served judge), K8 (what is shown and written) and K9 (overlap), on old code too."""

import csv
import io
import unicodedata
from types import SimpleNamespace
from typing import Any

from fault_places import Row, found
from served_factory import completion, sends, server

from selfreward.errors import DataError, EngineError
from selfreward.records import Measurement, Message, Prompt


def obeyed(text: str) -> str:
    """The characters that a terminal would obey: every control character, and what turns the direction of writing."""
    turning = ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI")
    marks = "\u200e\u200f\u061c"
    return "".join(
        one
        for one in text
        if (unicodedata.category(one) in ("Cc", "Cs") and one not in "\n\t")
        or unicodedata.bidirectional(one) in turning
        or one in marks
    )


def k5_served(row: Row) -> str:
    """A server's answer, asked for by the engine and read by the pointwise judge: a value, no verdict, or refused."""
    served = found("selfreward.engines.served.engine", "selfreward.engines.served").ServedEngine
    settings = found("selfreward.recipe").ServedRecipe
    request = found("selfreward.engines.protocol").Request("r0", (Message("user", "q"),), 1, 0.7, 0.9, 64, seed=0)
    data = bytes.fromhex(row["bytes"]) if "bytes" in row else row.get("body", "").encode()
    if "reply" in row:
        data = completion(row["reply"], row.get("finish", "stop"))
    with server(sends(row.get("status", 200), data)) as told:
        engine = served("judge", settings(url=told.url, model="m", backoff=0.01, retries=1, timeout=5.0))
        try:
            ((reply,),) = engine.generate([request], 0)
        except EngineError as problem:
            said = str(problem)
            right = row["right"] == "refused" and row["says"] in said and not obeyed(said)
            return "" if right else f"refused: {said[-200:]!r}; expected {row['right']} {row.get('says', '')!r}"
    reply.text.encode()  # a row of a file: half a surrogate pair could not be written
    value = found("selfreward.judging.prompts.pointwise", "selfreward.roles.judge").read("additive", reply)
    said = "no verdict" if type(value).__name__ == "Unreadable" else value
    return "" if said == row["right"] else f"{said!r}; expected {row['right']!r}"


def k8_shown(row: Row) -> str:
    return {"terminal": _terminal, "cell": _cell, "card": _card}[row["where"]](row)


def _terminal(row: Row) -> str:
    """Nothing that a terminal obeys is left, and every other character is."""
    words = getattr(found("selfreward.report.terminal"), "words", None)
    shown = words(row["text"]).plain if words else row["text"]  # so it was printed once
    kept = "".join(one for one in row["text"] if not obeyed(one))
    if obeyed(shown):
        return f"the terminal is told {shown!r}"
    rest = iter(shown)
    return "" if all(one in rest for one in kept) else f"{shown!r} has lost letters of {row['text']!r}"


def _cell(row: Row) -> str:
    """A cohort's name in measurements.csv is text to a spreadsheet, and reads back as it was behind a quote."""
    measured = Measurement(0, "p", "m", row["text"], "report", -0.5, -1.0, 0.0, 3, 0, "higher")
    reading: Any = SimpleNamespace(name="run", measurements=[measured])
    heading, cells = csv.reader(io.StringIO(found("selfreward.report.html").as_csv([reading])))
    written = dict(zip(heading, cells, strict=True))
    cell = written["cohort"]
    if written["value"] != "-0.5":
        return f"the number became {written['value']!r}"
    name = row.get("shown", row["text"])
    if cell not in (name, f"'{name}"):
        return f"{cell!r} is not what was named"
    return f"{cell!r} is a formula" if (cell != name) != row["formula"] else ""


def _card(row: Row) -> str:
    """A card shows a value of the recipe as others may read it."""
    place = found("selfreward.commands.model_card", "selfreward.export")
    shown = place.without_paths(row["value"]) if hasattr(place, "without_paths") else row["value"]
    return "" if shown == row["shown"] else f"{shown!r}; expected {row['shown']!r}"


def k9_overlap(row: Row) -> str:
    """Training prompts beside a pool: let through, or refused in the words of the row."""
    overlap = found("selfreward.tasks.overlap", "selfreward.pairing.overlap")
    prompts = [
        [Prompt(f"{pool}{number}", _turns(one), pool, "file") for number, one in enumerate(row[name])]
        for name, pool in (("training", "train"), ("pool", "report"))
    ]
    more = {"max_overlap": row["max_overlap"]} if "max_overlap" in row else {}
    try:
        overlap.assert_disjoint(prompts[0], {"report": prompts[1]}, **more)
    except DataError as problem:
        said = str(problem)
    else:
        said = ""
    right = row["refused"] in said if row["refused"] else not said
    return "" if right else f"{said!r}; expected {row['refused'] or 'no refusal'!r}"


def _turns(one: Any) -> tuple[Message, ...]:
    return (Message("user", one),) if isinstance(one, str) else tuple(Message(role, text) for role, text in one)
