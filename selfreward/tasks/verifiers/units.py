"""Units behind a number: which words are one, and which spellings are the same.

A unit is what follows a number and is neither algebra (`2x`, `3i`, `2ab`) nor another part of the number (`3 plus`,
`2 thirds`, `5 or`). Behind a space any words will do (`7 apples`, `60 miles per hour`); written on to the number only
known units are (`5cm`). Dollars and degrees are no unit here: what is asked for names them. Nothing is converted;
`RATIOS` are those that make an unequal number under another unit doubtful, not wrong (`2000 m` against a bare 2).
"""

import re
from fractions import Fraction

_UNIT = re.compile(r"(?:[^\W\d_]|[°µΩ'’/.²³-]|(?<=[a-z])\^?\{?[23]\}?(?![0-9])| (?=[^\W\d_]|°|\())+", re.IGNORECASE)
_CURRENCY_WORD = re.compile(r"(?:us )?(?:dollars?|usd|bucks?)", re.IGNORECASE)

_NO_UNIT = re.compile(
    r"\b(?:plus|minus|times|squared|cubed|over|more|less|fewer|than|or|not|to|but|divided|multiplied|factorial|"
    r"half|halves|thirds?|quarters?|(?:four|fif|six|seven|eigh|nin|ten|hundred|thousand)ths?|point|modulo|mod|nor|"
    r"by|out of|if|unless|except|of)\b|^(?:st|nd|rd|th|and)\b",
    re.IGNORECASE,
)
_LETTERS = set("mgshlwvj")
_ALIASES = {
    alias: name
    for name, aliases in {
        "km": "kilometer kilometre",
        "m": "meter metre",
        "cm": "centimeter centimetre",
        "mm": "millimeter millimetre",
        "mi": "mile",
        "ft": "foot feet",
        "in": "inch inches",
        "kg": "kilogram kilo",
        "g": "gram",
        "mg": "milligram",
        "lb": "lbs pound",
        "h": "hour hr hrs",
        "min": "minute mins",
        "s": "second sec secs",
        "day": "days",
        "week": "weeks",
        "l": "liter litre",
        "ml": "milliliter millilitre",
        "cent": "cents ¢",
    }.items()
    for alias in aliases.split()
}
_UNITS = frozenset(
    "% mph kph km/h m/s hz khz mhz kwh kw am pm fps psi cc oz yd ton tons yr yrs gb mb kb °c °f".split()  # noqa: SIM905
)
SCALES = frozenset(_ALIASES.values())
RATIOS = {Fraction(ratio) for ratio in (7, 10, 12, 16, 24, 36, 60, 100, 1000, 3600, 5280, 10**6)}


def unit_of(rest: str, *, attached: bool) -> str | None:
    """The unit that follows a number, "" for none; None where what follows is more than a unit."""
    rest = rest.strip()
    if not rest:
        return ""
    if re.fullmatch(r"%|pct|percent|per cent|percentage(?: points?)?", rest, re.IGNORECASE):
        return "%"
    if _CURRENCY_WORD.fullmatch(rest) or re.fullmatch(r"°|degrees?|(?:\^\s*\{?\s*)?\\circ\s*\}?", rest, re.IGNORECASE):
        return ""
    # "2x" and "2ab" are algebra; "5 n" may be.
    if (
        (attached or len(rest) == 1)
        and not is_known_unit(rest.casefold())
        and not re.match(r"[-/][^\W\d_]{2,}|°|¢", rest)
    ):
        return None
    if len(rest) > 60 or not (rest == "¢" or _UNIT.fullmatch(rest)) or _NO_UNIT.search(rest):
        return None
    return " ".join(rest.casefold().split())


def is_known_unit(unit: str) -> bool:
    bare = unit.rstrip(".").split("^")[0].rstrip("23²³") if len(unit) > 1 else unit
    return not bare or bare in _LETTERS or kind(bare) in SCALES or bare in _UNITS


def kind(unit: str) -> str:
    """One name for the spellings of a unit."""
    bare = unit.rstrip(".")
    return (
        _ALIASES.get(bare)
        or _ALIASES.get(bare.removesuffix("s"))
        or (bare if len(bare) < 3 else bare.removesuffix("s"))
    )
