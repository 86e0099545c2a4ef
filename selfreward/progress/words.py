"""Text that is safe to print, and times and rates as people say them."""

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """`text` with every control character written out, so that none reaches the terminal.

    What a model, a file or a server said may hold an escape sequence that moves the cursor, renames the window or asks
    the terminal to type, a carriage return that overwrites the line, or a mark that turns the direction of writing.
    Line ends and tabs stay.
    """
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape", "surrogatepass").decode(), text)


def duration(seconds: float) -> str:
    """4.2 s, 3 min 05 s, 2 h 07 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def speed(rate: float) -> str:
    return f"{rate:.3g}" if rate < 100 else f"{rate:,.0f}"
