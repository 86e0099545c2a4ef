"""A row of a made set."""

from collections.abc import Mapping
from typing import NamedTuple


class Made(NamedTuple):
    """`text` is what is asked, `about` what of it differs between rows, `held_out` whether it is only measured on."""

    text: str
    about: str
    cohort: str
    meta: Mapping[str, object]
    answer: str | None = None
    held_out: bool = False
