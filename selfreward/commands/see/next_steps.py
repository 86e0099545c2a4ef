"""What to do next, for whoever types the bare command: the first steps, or what the runs that are here want."""

from pathlib import Path

FIRST = """\
selfreward run smoke   sees in a minute that all of it works here; `selfreward run sandbox` learns something in two
selfreward init        writes a recipe for your --model and --data on this machine; `selfreward check` looks at it
selfreward recipes     lists what ships; `selfreward --help` every command"""
NEWEST = 20
"""So many runs are looked at, the latest ones: it must be said at once."""


def next_steps(results: Path) -> list[str]:
    """One line for each step, as commands that can be typed."""
    from selfreward.report.state import run_state, runs_in

    views = sorted(runs_in(results), key=lambda view: (view.path / "recipe.yaml").stat().st_mtime, reverse=True)
    if not views:
        return FIRST.splitlines()
    states = [run_state(view) for view in views[:NEWEST]]
    states.sort(key=lambda state: state.changed, reverse=True)
    steps: list[tuple[str, str]] = []
    for word in ("running", "interrupted", "failed"):
        state = next((state for state in states if state.word == word), None)
        if state is None:
            continue
        where = f"{state.name} is {word}" if word == "running" else f"{state.name} {word}"
        where = where.replace("interrupted", "was interrupted")
        at = f"{where} (round {state.round} of {state.rounds})"
        again = f"selfreward run {state.view.path / 'recipe.yaml'} --name {state.name}"
        steps.append((f"selfreward watch {state.name}", at) if word == "running" else (again, f"{at}; this goes on"))
    over = [state for state in states if state.word in ("finished", "stopped")]
    if over:
        steps.append((f"selfreward report {over[0].name}", f"{over[0].name} is {over[0].word}: its verdict, a page"))
    if len(over) > 1:
        steps.append((f"selfreward compare {over[1].name} {over[0].name}", "the second minus the first"))
    more = len(views)
    steps.append(("selfreward view", f"all {more} runs as a local page" if more > 1 else "the same as a local page"))
    steps.append(("selfreward --help", "every command; `selfreward recipes` lists what ships"))
    width = max(len(command) for command, _ in steps)
    return [f"{command:<{width}}   {why}" for command, why in steps]
