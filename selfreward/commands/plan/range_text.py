"""From where to where a plan's time may be, in words: on how many devices, and who says so."""

from selfreward.commands.plan.learned import FEW, SHORT, Learnt, round_span, span
from selfreward.commands.plan.plan import Plan
from selfreward.commands.plan.units import duration

NAMED = 12
"""Runs that are named; more are counted."""


def on_devices(made: Plan) -> str:
    """How many devices share the work, where there are several."""
    of = made.devices
    if of.all == 1:
        return ""
    split = f" of {of.split}" if of.split > 1 else ""
    held = "a share of the policy each" if of.sharded else "the whole policy each"
    training = f"{of.processes} train, {held}" if of.processes > 1 else "1 trains"
    return f"; {of.all} such devices: engines that sample {of.replicas}{split}, {training}"


def range_lines(made: Plan, learnt: Learnt | None) -> list[str]:
    """The range, what it is from, and the floor below it."""
    one, whole = round_span(made, learnt), span(made, learnt)
    expected = f", {duration(whole.expected)} expected" if learnt else ""
    found = [
        f"range: a round with its measurement {duration(one.low)} to {duration(one.high)}, the run "
        f"{duration(whole.low)} to {duration(whole.high)}{expected}"
    ]
    if made.devices.all > 1:
        found.append(f"  of {made.devices.all} devices that share work evenly; no time for what they tell each other")
    if learnt is None:
        found.append(
            f"  by the defaults: from replies that end at {SHORT:.0%} of their limits to {made.device.slow:g} times "
            f"the plan and {duration(made.device.start)} a round to load and to begin; no finished run on such a "
            "device was found"
        )
    else:
        found += _learnt(learnt)
    floor = sum(cost.floor for cost in made.made)
    return [*found, f"floor of a round: {duration(floor)}, at the device's peaks and for all that is planned"]


def _learnt(learnt: Learnt) -> list[str]:
    few = len(learnt.runs) < 3
    why = "fewer than three runs" if few else "the widest error of a run that was planned from the others"
    stages = ", ".join(
        f"{name} {pace.slope:.2f}" + (f" + {duration(pace.fixed)}" if pace.fixed >= 0.05 else "")
        for name, pace in sorted(learnt.stages.items())
    )
    shares = ", ".join(f"{name} {pace.share:.1%}" for name, pace in sorted(learnt.kinds.items()))
    named = ", ".join(learnt.runs[:NAMED]) + (", ..." if len(learnt.runs) > NAMED else "")
    return [
        f"  learnt from {len(learnt.runs)} finished runs ({named}), give or take "
        f"{FEW if few else learnt.error:.0%}: {why}",
        f"  taken for one second planned: {stages}",
        f"  reached of the peaks: {shares}",
    ]
