"""A number as people write it, read exactly: `10,080`, `$18`, `1 1/2`, `\\frac{1}{2}`, `1 million`, `50 %`, `7 apples`.

A quantity is an exact fraction and a unit. It is read whole or not at all: `3 ± 2`, `5!`, `2x`, `3,14`, `5 feet 6`
and `2024-05-01` are no quantity, so nothing is ever concluded from a part of them. Thousands are groups of three behind
a comma or a space. Magnitudes (`1 million`, `5k`, `2 dozen`) are multiplied in; a percent sign is a unit, no division.

Two quantities are compared by `same_quantity`, with three outcomes: equal, different, or None where the units leave it
open. A unit that one side does not name is taken to be the other's (the question names it), so `90` is `90°`. With a
percent sign on one side only `50 %` is 50 and also 0.5, but `0.5 %` against `0.5` is left open. Two different units
are never converted.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from selfreward.tasks.verifiers.number_words import words_value
from selfreward.tasks.verifiers.units import RATIOS, SCALES, kind, unit_of

LONGEST = 10_000
"""Characters; what is longer is a text, not a number."""

_INTEGER = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9])|[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9])|[0-9]+)"
_DECIMAL = rf"(?:{_INTEGER}(?:\.[0-9]*)?|\.[0-9]+)"
_SCIENTIFIC = r"(?:e[-+]?[0-9]{1,3}|\s*(?:\\times|\\cdot|×|\*|x)\s*10\s*(?:\^|\*\*)\s*\{?(?P<power>[-+]?[0-9]{1,3})\}?)"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s*(?P<currency>[$€£¥]?)\s*(?P<inner>[-+]?)"
    rf"(?:(?:(?P<whole>[0-9]+)(?:\s+|(?=\\)))?(?:(?P<top>{_INTEGER})\s*/\s*(?P<bottom>{_INTEGER})(?![0-9./])"
    rf"|\\frac\s*(?:\{{(?P<ltop>[-+]?{_INTEGER})\}}|(?P<dtop>[0-9]))\s*(?:\{{(?P<lbottom>{_INTEGER})\}}|(?P<dbottom>[0-9])))"
    rf"|(?P<decimal>{_DECIMAL})(?P<scientific>{_SCIENTIFIC})?)",
    re.IGNORECASE,
)
_PREFIX = re.compile(
    r"(?:(?:about|approximately|approx\.?|roughly|around|exactly|nearly|almost|[≈~≃])\s*|\\approx\s*"
    r"|[a-z](?:_\{?[a-z0-9]\}?)?\s*=\s*)+",
    re.IGNORECASE,
)
_MAGNITUDES = {
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}
_SUFFIXES = {"k": 10**3, "K": 10**3, "M": 10**6, "mn": 10**6, "bn": 10**9, "B": 10**9, "T": 10**12}
_SYMBOLS = {"$": "", "": "", "€": "euro", "£": "gbp", "¥": "yen"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """`unit` is as it was written, casefolded; "" for none, for dollars and for degrees; "%" for percent."""

    value: Fraction
    unit: str = ""


def quantity(text: str) -> Quantity | None:
    """The quantity that `text` is, or None. `text` is plain: without LaTeX decoration (see `normal_form.plain`)."""
    if len(text) > LONGEST:
        return None
    text = text.strip()
    prefix = _PREFIX.match(text)
    text = text[prefix.end() :] if prefix else text
    found = _NUMBER.match(text)
    if found is None:
        return _in_words(text)
    value = _value(found)
    if value is None:
        return None
    rest = text[found.end() :]
    for suffix, factor in _SUFFIXES.items():
        if re.match(rf"{suffix}(?!\w)", rest):
            value, rest = value * factor, rest[len(suffix) :]
            break
    value, rest = _magnified(value, rest)
    symbol = _SYMBOLS[found["currency"]]
    unit = unit_of(rest, attached=bool(rest) and not rest[0].isspace())
    if unit is None or (symbol and unit):
        return None
    return Quantity(value, symbol or unit)


def _in_words(text: str) -> Quantity | None:
    found = words_value(text)
    if found is None:
        return None
    value, rest = _magnified(Fraction(found[0]), found[1])
    unit = unit_of(rest, attached=False)
    return None if unit is None else Quantity(value, unit)


def _magnified(value: Fraction, rest: str) -> tuple[Fraction, str]:
    """A value with the magnitudes that follow it, and what comes after them."""
    while magnitude := re.match(rf"\s*({'|'.join(_MAGNITUDES)})\b", rest, re.IGNORECASE):
        value, rest = value * _MAGNITUDES[magnitude.group(1).casefold()], rest[magnitude.end() :]
    return value, rest


def _value(found: re.Match[str]) -> Fraction | None:
    if found["sign"] and found["inner"]:
        return None
    sign = -1 if "-" in (found["sign"], found["inner"]) else 1
    if found["decimal"] is not None:
        # Decimal takes any number of digits without rounding them; the power of ten has at most three.
        value = Fraction(Decimal(_digits(found["decimal"]) + _exponent(found["scientific"], found["power"])))
        return sign * value
    top = Fraction(Decimal(_digits(found["top"] or found["ltop"] or found["dtop"])))
    bottom = Fraction(Decimal(_digits(found["bottom"] or found["lbottom"] or found["dbottom"])))
    if not bottom or (found["whole"] and not 0 <= top < bottom):
        return None
    return sign * (Fraction(Decimal(found["whole"] or "0")) + top / bottom)


def _digits(text: str) -> str:
    return text.replace(",", "").replace(" ", "")


def _exponent(scientific: str | None, power: str | None) -> str:
    return "" if scientific is None else f"e{power}" if power else scientific.strip()


def same_quantity(one: Quantity, other: Quantity) -> bool | None:
    """Whether two quantities are equal; None where their units leave it open."""
    return within(one, other, Fraction(0), Fraction(0))


def within(gold: Quantity, reply: Quantity, absolute: Fraction, relative: Fraction) -> bool | None:
    """Whether `reply` is as near to `gold` as the tolerances say; None where their units leave it open."""

    def near(value: Fraction) -> bool:
        return abs(value - gold.value) <= max(absolute, relative * abs(gold.value))

    units = {kind(gold.unit), kind(reply.unit)}
    if len(units) == 1:
        return near(reply.value)
    if "" not in units:
        return None
    if "%" in units:
        share = reply.value / 100 if reply.unit == "%" else reply.value * 100
        if near(share):
            return True
        return None if near(reply.value) and abs(gold.value) <= 1 else near(reply.value)
    if near(reply.value):
        return True
    ratio = reply.value / gold.value if gold.value else Fraction(0)
    rescaled = bool(units & SCALES) and (ratio in RATIOS or (ratio != 0 and 1 / ratio in RATIOS))
    return None if rescaled else False


def shortest(value: Fraction) -> str:
    """A decimal where it ends, else a fraction in lowest terms."""
    bottom, places = value.denominator, 0
    for prime in (2, 5):
        count = 0
        while bottom % prime == 0:
            bottom, count = bottom // prime, count + 1
        places = max(places, count)
    if bottom != 1 or places > LONGEST:
        return f"{_written(value.numerator)}/{_written(value.denominator)}"
    if not places:
        return _written(value.numerator)
    digits = _written(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _written(number: int) -> str:
    # str() of an int refuses more than 4,300 digits.
    return format(Decimal(number), "f")
