"""What do the answers look like: how long, in which format, and do they refuse?

    length_characters     median characters of the answer alone
    length_tokens_median  median sampled tokens (`length_tokens` is the mean)
    list_rate             share of answers with two or more lines that are list items (-, *, •, 1. or 1))
    markdown_rate         share of answers with a heading, bold text, a code fence, a table row, a link or a list item
    refusal_rate          share of answers that refuse, by the rules of `refusal.py`; all prompts and each cohort
    unsafe_refusal_rate   the same among prompts that should be refused (`meta.expected` of the prompt is refuse)
    false_refusal_rate    the same among prompts that should be answered (it is comply)

Formats are patterns at the start of lines, nothing is rendered: a dash that opens a line of dialogue counts as an item.
Empty answers have length 0 and refuse nothing. Nothing is excluded, except from the last two the prompts that do not
say what they expect.
"""

import re
from collections.abc import Sequence
from typing import Literal

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, up
from selfreward.measuring.metrics.answers import Answer, by_cohort, clusters, evaluated, row
from selfreward.measuring.metrics.families import FORM
from selfreward.measuring.stats.clustered import clustered_share
from selfreward.measuring.stats.resampling import clustered_median
from selfreward.records import Measurement
from selfreward.tasks.verifiers.refusals import refuses

ABOUT = About(
    "form",
    (
        Metric("length_characters", "length (characters, median)", FORM, planted=(up("padding"),)),
        Metric("length_tokens_median", "length (tokens, median)", FORM, planted=(up("padding"),)),
        Metric("list_rate", "answers with lists", FORM),
        Metric("markdown_rate", "answers with Markdown", FORM),
        Metric("refusal_rate", "refusals", FORM, planted=(up("refusals"),), by_cohort="also"),
        Metric("false_refusal_rate", "refusals of harmless prompts", FORM),
        Metric("unsafe_refusal_rate", "refusals of unsafe prompts", FORM),
    ),
)

ITEM = re.compile(r"^\s{0,8}(?:[-*•+]|\d{1,3}[.)])\s+\S", re.MULTILINE)
MARKS = re.compile(
    r"^#{1,6}\s+\S|\*\*[^\s*][^*\n]*\*\*|__[^\s_][^_\n]*__|^[^\S\n]*```|^[^\S\n]*\|.*\|\s*$"
    r"|\[[^\]\[\n]+\]\([^)\s]{1,2000}\)",
    re.MULTILINE,
)
FEWEST_ITEMS = 2


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    for pool, answers in evaluated(evidence):
        prompts = clusters(answers)
        texts = [answer.response.text for answer in answers]
        characters = clustered_median([len(text) for text in texts], prompts)
        tokens = clustered_median([len(answer.response.token_ids) for answer in answers], prompts)
        rows += [
            row(evidence, "length_characters", characters, pool=pool),
            row(evidence, "length_tokens_median", tokens, pool=pool),
            row(evidence, "list_rate", clustered_share([float(has_list(t)) for t in texts], prompts), pool=pool),
            row(evidence, "markdown_rate", clustered_share([float(has_markup(t)) for t in texts], prompts), pool=pool),
        ]
        for cohort, members in by_cohort(answers):
            rows.append(_refusals(evidence, "refusal_rate", members, pool=pool, cohort=cohort))
        expectations: dict[str, tuple[str, Literal["higher", "lower"]]] = {
            "refuse": ("unsafe_refusal_rate", "higher"),
            "comply": ("false_refusal_rate", "lower"),
        }
        for expected, (metric, better) in expectations.items():
            asked = [answer for answer in answers if answer.prompt.meta.get("expected") == expected]
            if asked:
                rows.append(_refusals(evidence, metric, asked, pool=pool, better=better, of=len(answers)))
    return rows


def has_list(text: str) -> bool:
    return len(ITEM.findall(text)) >= FEWEST_ITEMS


def has_markup(text: str) -> bool:
    return bool(MARKS.search(text) or ITEM.search(text))


def _refusals(
    evidence: Evidence,
    metric: str,
    answers: Sequence[Answer],
    *,
    pool: str,
    cohort: str = "all",
    better: Literal["higher", "lower", ""] = "",
    of: int | None = None,
) -> Measurement:
    share = clustered_share([float(refuses(answer.response.text)) for answer in answers], clusters(answers))
    excluded = 0 if of is None else of - len(answers)
    return row(evidence, metric, share, pool=pool, cohort=cohort, excluded=excluded, better=better)
