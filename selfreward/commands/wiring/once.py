"""An option that stands twice is an error: the last of two would win, and the first would be lost without a word."""

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand


class Once(TyperCommand):
    """A command that refuses an option given twice, unless it is one of those that collect values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the class above, after a look at what stands in `args`. Ends with a usage error that names the option."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for param, times in Counter(given).items():
            if param.param_type_name == "option" and not param.multiple and times > 1:
                ctx.fail(f"{param.opts[0]} is given {times} times and takes one value; name it once")
        return super().parse_args(ctx, args)


def refuse_repeats(app: typer.Typer) -> None:
    """Make every command of `app`, and of the apps below it, one that refuses an option given twice."""
    for command in app.registered_commands:
        command.cls = Once
    for group in app.registered_groups:
        if group.typer_instance is not None:
            refuse_repeats(group.typer_instance)
