"""How programs are run that a model wrote: measure.verifier=code."""

from typing import Literal

from selfreward.recipe.section import Section, section, setting


@section
class CodeRecipe(Section):
    """What a program of a reply may use while it is run against its golden calls (tasks/verifiers/code).

    `confinement`: full is bubblewrap, or else Linux namespaces: no network, no other process, no file but Python's own.
    `bubblewrap` and `namespaces` take that one alone. `limits` has the limits of this section and nothing else: such a
    program can read, and delete, every file that you can, the golden results too. Where what is named is not to be had
    the run is refused. A program that passes is run twice.
    """

    confinement: Literal["full", "bubblewrap", "namespaces", "limits"] = setting("full", "what shuts a program in")
    seconds: float = setting(20.0, "seconds by the clock for all calls of one run of a program", above=0)
    cpu_seconds: int = setting(5, "seconds of processor time for the same", minimum=1)
    memory_mib: int = setting(512, "MiB of address space of a program, Python's own included", minimum=128)
