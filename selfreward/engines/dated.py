"""One date for a whole run, in chat templates that write today's (`strftime_now`, Llama 3.1 and others).

transformers gives a template its own clock and turns every function that it is handed into a string. So the template
gets a macro of that name in front, in Jinja's own words: the format with each directive replaced by the day's value.
The time of day is midnight: a prompt that names the hour would be another one an hour later.
"""

import json
from datetime import date, datetime, time

ASKS = "strftime_now"

_DIRECTIVES = [f"%{flag}{letter}" for flag in ("-", "") for letter in "dmyYbBaAjHIMSpefGVuwUWcxXDFTRhZz"]


def with_day(template: str, day: date) -> str:
    """`template` with `day` for its clock; unchanged where it does not look at it."""
    if ASKS not in template:
        return template
    moment = datetime.combine(day, time())
    told = "".join(f"|replace({json.dumps(one)}, {json.dumps(moment.strftime(one))})" for one in _DIRECTIVES)
    # The empty expression keeps a newline at the template's begin, which a block's end would swallow.
    return f"{{% macro {ASKS}(format) %}}{{{{ format{told} }}}}{{% endmacro %}}{{{{ '' }}}}{template}"
