"""The bench as tables, Markdown, JSON and HTML."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from selfreward.commands.judge_bench.alike import alike
from selfreward.commands.judge_bench.bench import Result
from selfreward.commands.judge_bench.scores import Outcomes
from selfreward.commands.judge_bench.trajectory_tables import trajectories_told, trajectory_tables
from selfreward.commands.judge_bench.wordings import Wordings, wordings
from selfreward.errors import RecipeError
from selfreward.measuring.stats.clustered import Estimate
from selfreward.report.html import markdown_table
from selfreward.report.judge_bench import Priced, as_html
from selfreward.report.tables import DASH, Table, number_text
from selfreward.store.files import on_disk, write_durably

ENDINGS = (".html", ".md", ".json")
WORDS = {
    "accuracy": "pairwise accuracy",
    "auc": "AUC",
    "spearman": "Spearman",
    "kappa": "kappa, quadratic",
    "brier": "Brier",
    "ece": "ECE",
    "ece_noise": "ECE by noise",
    "first_slot": "first slot",
    "order_flips": "order flips",
    "longer": "prefers longer",
    "retest_flips": "retest flips",
    "retest_alpha": "retest α",
    "retest_fleiss": "retest κ, Fleiss",
    "best_of_n_gain": "best-of-N gain",
}
IN_OTHER_WORDS = {
    "wording_sd": "SD between wordings",
    "retest_sd": "SD of a second reading",
    "wording_excess": "variance beyond it",
    "wording_flips": "flips between wordings",
    "retest_flips": "flips of a second reading",
    "flip_excess": "flips beyond it",
}
NOTES = (
    "Values with 95 % intervals, clustered by prompt; n counts prompts. A dash is a number that cannot be.",
    "Pairwise accuracy: ties half, .5 is chance. First slot: .5 is fair. Prefers longer: beyond what the labels do. "
    "Tokens: for each answer, questions and replies. Seconds are this machine's, as busy as it was.",
    "In other words: what wordings of one question differ by, and how much of it is beyond asking one of them twice.",
    "CAPA: agreement of two judges beyond what two of their accuracies have by chance; near 1 they err alike.",
)


def tables(found: Sequence[Result]) -> list[Table]:
    """One table for each pool, a row for each judge; columns that nobody fills are left out."""
    made = []
    for pool in dict.fromkeys(one.pool for one in found):
        here = [one for one in found if one.pool == pool]
        shown = [name for name in WORDS if any(one.estimates[name].value is not None for one in here)]
        header = ["judge", *(WORDS[name] for name in shown), "unreadable", "tokens", "seconds"]
        rows = [
            [
                one.judge,
                *(_text(one.estimates[name]) for name in shown),
                f"{one.unreadable} of {one.verdicts}",
                f"{one.tokens_each:,.0f}",
                f"{one.seconds:.1f}",
            ]
            for one in here
        ]
        caption = f"{pool}: {here[0].answers} answers to {here[0].prompts} prompts"
        made.append(Table(caption, header, rows))
        pairs = [
            [two.one, two.other, _text(two.capa)] for two in alike(pool, _outcomes(here)) if two.capa.value is not None
        ]
        made += [Table(f"{pool}: do two judges err alike?", ["judge", "judge", "CAPA"], pairs)] if pairs else []
        made += _wordings(pool, in_other_words(here))
        made += trajectory_tables(here)
    return made


def in_other_words(found: Sequence[Result]) -> list[Wordings]:
    """Every judge that was also asked in other words, on each pool."""
    made = []
    for one in found:
        others = [other for other in found if (other.wording_of, other.pool) == (one.judge, one.pool)]
        if others:
            made.append(wordings(one.judge, one.pool, one.prompt_of, [side.asked for side in (one, *others)]))
    return made


def _wordings(pool: str, found: Sequence[Wordings]) -> list[Table]:
    if not found:
        return []
    header = ["judge", "wordings", *IN_OTHER_WORDS.values(), "left out"]
    rows = [
        [one.judge, str(one.count), *(_text(one.estimates[name]) for name in IN_OTHER_WORDS), str(one.left_out)]
        for one in found
    ]
    return [Table(f"{pool}: the same in other words", header, rows)]


def _outcomes(found: Sequence[Result]) -> list[tuple[str, Outcomes]]:
    return [(one.judge, one.outcomes) for one in found]


def _text(found: Estimate) -> str:
    return DASH if found.value is None else f"{number_text(found.value, found.low, found.high)} n {found.n}"


def require_endings(outs: Sequence[Path]) -> None:
    for out in outs:
        if out.suffix not in ENDINGS:
            raise RecipeError(f"--out {out}: the ending is {out.suffix!r}; expected {', '.join(ENDINGS)}")


def write(found: Sequence[Result], outs: Sequence[Path]) -> None:
    """Each file in the form of its ending."""
    made = tables(found)
    for out in outs:
        if out.suffix == ".json":
            text = as_json(found)
        elif out.suffix == ".md":
            lines = ["# Judges", "", *NOTES, ""]
            text = "\n".join([*lines, *(line for table in made for line in (*markdown_table(table), ""))])
        else:
            priced = [Priced(one.judge, one.pool, one.tokens_each, one.estimates["accuracy"]) for one in found]
            text = as_html(priced, made, NOTES)
        with on_disk(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            write_durably(out, text.encode())


def as_json(found: Sequence[Result]) -> str:
    bare = [replace(one, outcomes={}, asked=({}, None), prompt_of={}, trajectories=None, calls={}) for one in found]
    rows = [{**asdict(one), "tokens_each": one.tokens_each} for one in bare]
    for row in rows:
        for name in ("outcomes", "asked", "prompt_of", "trajectories", "calls"):
            del row[name]
    pools = dict.fromkeys(one.pool for one in found)
    pairs = [
        asdict(two) for pool in pools for two in alike(pool, _outcomes([one for one in found if one.pool == pool]))
    ]
    told = {"results": rows, "alike": pairs, "wordings": [asdict(one) for one in in_other_words(found)]}
    told |= trajectories_told(found)
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
