"""What a changed judge changes, as text."""

from selfreward.commands.judge_diff import JudgeDiff
from selfreward.measuring.stats.clustered import Estimate

TOP = 5
"""Answers that are told, of those that changed most."""


def lines(diff: JudgeDiff) -> list[str]:
    """The report as text."""
    told = [
        f"frozen pool of {diff.run}, judge after round {diff.round}",
        f"  first   {diff.first.name}: rank correlation with the labels {_shown(diff.first.with_labels)}, "
        f"{diff.first.unread} answers unread",
        f"  second  {diff.second.name}: rank correlation with the labels {_shown(diff.second.with_labels)}, "
        f"{diff.second.unread} answers unread",
        "",
    ]
    columns = [("second against first", diff.difference)]
    columns += [("first asked again", diff.noise)] if diff.noise else []
    for name, found in columns:
        told += [
            f"{name}: {found.answers} answers, {found.changed} scored differently",
            f"  same whole point  {_shown(found.agreement)}",
            f"  kappa (quadratic) {_shown(found.kappa)}",
            f"  mean change       {_shown(found.mean_change, '+.3f')}",
            f"  pairs of a prompt {found.pairs}: {found.flipped} flipped ({_shown(found.flip_share)}), "
            f"{found.tied} became ties, {found.untied} ties were decided",
        ]
    if diff.largest:
        told += ["", f"most changed (of {diff.difference.changed}):"]
    for item in diff.largest[:TOP]:
        told += [
            f"  {item.before:.2f} -> {item.after:.2f} (label {item.label:g})  {_cut(item.prompt)}",
            f"      {_cut(item.answer)}",
        ]
    return told


def _shown(estimate: Estimate, form: str = ".3f") -> str:
    if estimate.value is None:
        return "not defined"
    if estimate.low is None or estimate.high is None:
        return format(estimate.value, form)
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


def _cut(text: str, width: int = 90) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
