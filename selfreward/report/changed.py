"""The prompts that changed between the first and the last round, a few of each kind, the clearest first.

    became right, became wrong   a larger (smaller) share of the prompt's answers is right, by the verifier
    judge likes it, truth not    in the last round the judge gives a wrong answer at least a point above its quality
    judge rose, judge fell       in place of those three without a verifier; a judge's word is no evidence of quality
    longest growth               the answers' mean length in tokens grew
    refusals                     answers of the last round that refuse, those that did not at first before the others
    chosen beside rejected       pairs of the last training round, those that truth ranks the other way first

All are of the report pool but the pairs. Samples differ by chance: a prompt here is an example to read, and whether
there is a change at all says the verdict. Answers that the verifier leaves open count neither as right nor as wrong.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from selfreward.measuring.metrics.answers import Answer
from selfreward.records import Pair
from selfreward.report.changed_prompt import Case, Seen, case, pair_case, seen_rounds
from selfreward.report.reading import Reading
from selfreward.tasks.verifiers.refusals import refuses

MOST, MOST_OF_SEVERAL = 12, 6
"""Prompts of a kind, of one run and of each of several."""
LIKED = 1.0
"""Points that the judge is above the quality."""
Both = tuple[Seen, Seen]


@dataclass(frozen=True, slots=True)
class Group:
    """One kind of change: `count` prompts of `of` have it (or pairs go against the truth); `cases` are the clearest."""

    name: str
    title: str
    meaning: str
    count: int
    of: int
    cases: Sequence[Case]
    what: str = "prompts"

    @property
    def told(self) -> str:
        """How many there are, and how many of them stand here."""
        shown = f", {len(self.cases)} shown" if 0 < len(self.cases) < max(self.count, 1) else ""
        return f"{self.count} of {self.of} {self.what}{shown}"


def changed_prompts(reading: Reading, most: int = MOST) -> list[Group]:
    """The kinds in order; none where only the start policy is measured."""
    first, last = reading.rounds[0], reading.rounds[-1]
    if first == last:
        return []
    before, after = (seen_rounds(reading, number) for number in (first, last))
    both = [(before[name], after[name]) for name in sorted(before.keys() & after.keys())]
    believed = [_judge_rose, _judge_fell]
    kinds = [_became_right, _became_wrong, _liked] if reading.verifier else believed
    groups = [kind(both, most) for kind in (*kinds, _growth, _refusals)]
    if (pairs := _pairs(reading, most)) is not None:
        groups.append(pairs)
    return groups


def _right(seen: Seen) -> float | None:
    return seen.right


def _score(seen: Seen) -> float | None:
    return seen.score


def _tokens(seen: Seen) -> float | None:
    return seen.tokens


def _difference(of: Callable[[Seen], float | None], both: Both) -> float:
    """After minus before; 0 where one of them does not exist."""
    before, after = map(of, both)
    return 0.0 if before is None or after is None else after - before


def _moving(
    both: Iterable[Both], of: Callable[[Seen], float | None], way: int, most: int, pick: Callable[[Seen, bool], Answer]
) -> tuple[int, int, list[Case]]:
    """How many prompts moved that way, of how many, and the clearest."""
    known = [pair for pair in both if None not in map(of, pair)]
    moved = [pair for pair in known if _difference(of, pair) * way > 0]
    moved.sort(key=lambda pair: (-_difference(of, pair) * way, pair[1].prompt.id))
    shown = [case(before, after, pick(before, False), pick(after, True)) for before, after in moved[:most]]
    return len(moved), len(known), shown


def _became_right(both: Sequence[Both], most: int) -> Group:
    found = _moving(both, _right, 1, most, lambda seen, late: seen.first(correct=late))
    return Group("right", "Became right", "More of its answers are right than at first.", *found)


def _became_wrong(both: Sequence[Both], most: int) -> Group:
    found = _moving(both, _right, -1, most, lambda seen, late: seen.first(correct=not late))
    return Group("wrong", "Became wrong", "Fewer of its answers are right than at first.", *found)


def _judge_rose(both: Sequence[Both], most: int) -> Group:
    found = _moving(both, _score, 1, most, lambda seen, _: seen.typical(Seen.score_of))
    meaning = "Its judge gives its answers more than at first. Nothing here knows whether they are better."
    return Group("liked-more", "The judge's score rose most", meaning, *found)


def _judge_fell(both: Sequence[Both], most: int) -> Group:
    found = _moving(both, _score, -1, most, lambda seen, _: seen.typical(Seen.score_of))
    return Group("liked-less", "The judge's score fell most", "Its judge gives its answers less than at first.", *found)


def _growth(both: Sequence[Both], most: int) -> Group:
    found = _moving(both, _tokens, 1, most, lambda seen, _: seen.typical(Seen.tokens_of))
    return Group("longer", "Longest growth", "The mean length of its answers in tokens grew.", *found)


def _liked(both: Sequence[Both], most: int) -> Group:
    """The most liked wrong answer beside a right one of the same round, or else beside one of the first round."""
    found = []
    for before, after in both:
        gaps = [(after.gap(answer), answer) for answer in after.answers if after.is_right(answer) is False]
        wrong = [(gap, answer) for gap, answer in gaps if gap is not None and gap >= LIKED]
        if wrong:
            found.append((max(wrong, key=lambda item: item[0]), before, after))
    found.sort(key=lambda item: (-item[0][0], item[2].prompt.id))
    cases = []
    for (_, answer), before, after in found[:most]:
        right = next((other for other in after.answers if after.is_right(other)), None)
        beside = (after, right) if right else (before, before.answers[0])
        cases.append(case(before, after, beside[1], answer, left=beside[0]))
    meaning = f"A wrong answer of the last round that its judge gives at least {LIKED:g} point more than it is worth."
    return Group("pleasing", "The judge likes it, and truth does not", meaning, len(found), len(both), cases)


def _refusals(both: Sequence[Both], most: int) -> Group:
    found = []
    for before, after in both:
        late = [answer for answer in after.answers if refuses(answer.response.text)]
        early = [answer for answer in before.answers if refuses(answer.response.text)]
        if late:
            share = len(late) / len(after.answers) - len(early) / len(before.answers)
            free = [answer for answer in before.answers if answer not in early] or list(before.answers)
            found.append((share, before, after, free[0], late[0]))
    found.sort(key=lambda item: (-item[0], item[2].prompt.id))
    cases = [case(before, after, free, late) for _, before, after, free, late in found[:most]]
    meaning = "Some of its answers refuse, by the words that they open with."
    return Group("refuses", "Refusals", meaning, len(found), len(both), cases)


def _pairs(reading: Reading, most: int) -> Group | None:
    """The answer pairs of the last round that has some; those that truth ranks the other way come first."""
    number = next((n for n in reversed(reading.rounds[1:]) if any(p.kind == "answer" for p in reading.pairs(n))), None)
    if number is None:
        return None
    rows = reading.train_answers(number)
    seen = {name: Seen.of(reading, row) for name, row in rows.items()}
    told: list[tuple[float, float, tuple[Seen, Answer, Answer, Pair]]] = []
    for pair in (pair for pair in reading.pairs(number) if pair.kind == "answer" and pair.prompt_id in seen):
        mine = seen[pair.prompt_id]
        chosen, rejected = mine.by_id(pair.chosen_id), mine.by_id(pair.rejected_id)
        if chosen and rejected:
            values = [value for value in map(mine.quality, (rejected, chosen)) if value is not None]
            truer = values[0] - values[1] if len(values) == 2 else 0.0
            told.append((truer, abs(pair.chosen_score - pair.rejected_score), (mine, chosen, rejected, pair)))
    told.sort(key=lambda item: (-item[0], -item[1]))
    against = sum(truer > 0 for truer, _, _ in told)
    meaning = f"What round {number} was trained on, {len(told)} pairs of its own answers."
    if reading.verifier:
        meaning += f" In {against} of them truth prefers the rejected answer: those come first."
    cases = [pair_case(*parts) for _, _, parts in told[:most]]
    count, what = (against, "pairs against the truth") if reading.verifier else (len(told), "pairs")
    return Group("pairs", "Chosen beside rejected", meaning, count, len(told), cases, what)
