"""The world of *rooms*: things lie in a room, three of them are to be taken and the first of these used, in five calls.

    look        says what lies there and what is carried: always right, and never nearer to the goal
    take x      right where x lies there
    use x       right where x is carried

Any other tool does not exist. The oracle of a call says whether it could be carried out; the oracle of the whole says
whether all three things are carried and the first is used after at most five calls. So an agent that looks five times
has made five right calls and failed, and one that reaches for a thing that is not there and then does the rest has
made a wrong call and succeeded.
"""

import random
from dataclasses import dataclass, replace

THINGS = ("key", "lamp", "rope", "map", "bell", "coin", "book", "cup", "knife", "stone", "rose", "flute")
TOOLS = ("look", "take", "use")
CALLS = 5


@dataclass(frozen=True, slots=True)
class World:
    """What lies in the room, which three things are wanted, and one that is not there."""

    lying: tuple[str, ...]
    wanted: tuple[str, str, str]
    absent: str

    @property
    def goal(self) -> str:
        first, second, third = self.wanted
        return (
            f"Take the {first}, the {second} and the {third}, then use the {first}. You have {CALLS} calls of the "
            f"tools {', '.join(TOOLS)}."
        )


@dataclass(frozen=True, slots=True)
class State:
    world: World
    carried: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    calls: int = 0

    @property
    def reached(self) -> bool:
        wanted = self.world.wanted
        return self.calls <= CALLS and set(wanted) <= {*self.carried} and wanted[0] in self.used


def reset(seed: int) -> State:
    rng = random.Random(seed)
    *lying, absent = rng.sample(THINGS, 6)
    first, second, third = rng.sample(lying, 3)
    return State(World(tuple(lying), (first, second, third), absent))


def step(state: State, tool: str, thing: str = "") -> tuple[State, str, bool]:
    """(what is the case after the call, what the agent is told, whether the call was right)."""
    after = replace(state, calls=state.calls + 1)
    there = [one for one in state.world.lying if one not in state.carried]
    if tool == "look":
        lie, carried = (", ".join(one) or "nothing" for one in (there, state.carried))
        return after, f"here lie: {lie}; you carry: {carried}", True
    if tool == "take":
        if thing not in there:
            return after, f"error: no {thing} lies here", False
        return replace(after, carried=(*state.carried, thing)), f"you take the {thing}", True
    if tool == "use":
        if thing not in state.carried:
            return after, f"error: you carry no {thing}", False
        return replace(after, used=(*state.used, thing)), f"you use the {thing}", True
    return after, f"error: there is no tool {tool}", False
