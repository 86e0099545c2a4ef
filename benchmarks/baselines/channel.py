"""A system that stays between rounds as a process of its own: it is told a round's number and answers with facts.

Its standard output belongs to the channel, so what libraries print goes to standard error.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any


class Channel:
    """The worker's end."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def rounds(self) -> Iterator[int]:
        """The numbers that are asked for, until the driver closes the pipe."""
        for line in sys.stdin:
            yield int(line)

    def say(self, facts: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(facts) + "\n")
        self._out.flush()
