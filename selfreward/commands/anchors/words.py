"""What the labels say, for people: lines of text, and the same as JSON."""

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from selfreward.commands.anchors.agreement import Agreement
from selfreward.commands.anchors.scoring import Scored
from selfreward.measuring.stats.clustered import Estimate
from selfreward.measuring.stats.prediction_powered import Powered

RELIABLE = 20
"""Below this many prompts an interval of kappa is a hint."""


def lines(scored: Scored) -> list[str]:
    """The report as text."""
    key, settled = scored.key, scored.settled
    told = [
        f"{len(settled.labels)} of {len(key.rows)} rows have a final label; {settled.unlabelled} nobody filled in, "
        f"{len(settled.waiting)} disputed rows wait for adjudication, {settled.adjudicated} were adjudicated",
    ]
    if scored.annotators:
        told += ["", *block("annotators with each other", scored.annotators)]
    if scored.gate:
        told += ["", *block("judge with people, rows that may steer", scored.steering), f"  {scored.gate.sentence}"]
        told += [_short(part.name, part.found) for part in scored.slices]
    told += ["", *block("judge with people, locked rows (reported only)", scored.locked)]
    if scored.audits:
        told += ["", "judge with people, audited training answers (reported only)"]
        told += [_short(part.name, part.found) for part in scored.audits]
    told += ["", "the whole pool, from the labels and all of the judge's scores (prediction-powered)"]
    told += [line for name, powered in scored.means.items() for line in _powered(name, powered)]
    return told


def as_json(scored: Scored) -> str:
    """Everything but the rows themselves, which stand in the key."""
    found: dict[str, Any] = asdict(scored)
    key = scored.key
    found["key"] = {name: getattr(key, name) for name in ("kind", "run", "round", "against", "pool", "unread")}
    found["key"]["rows"] = dict(Counter("audit" if row.part == "audit" else _share(row.locked) for row in key.rows))
    found["settled"] = {
        "labels": len(scored.settled.labels),
        "doubles": len(scored.settled.doubles),
        "waiting": list(scored.settled.waiting),
        "adjudicated": scored.settled.adjudicated,
        "unlabelled": scored.settled.unlabelled,
    }
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)


def shown(estimate: Estimate, form: str = ".3f") -> str:
    if estimate.value is None:
        return "not defined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:{form}} (no interval)"
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


def _share(locked: bool) -> str:
    return "locked" if locked else "steering"


def block(title: str, found: Agreement) -> list[str]:
    head = f"{title}: {found.rows} rows, {found.kappa.n} prompts"
    if not found.rows:
        return [head]
    few = [f"  fewer than {RELIABLE} prompts: the intervals are a hint"] if found.kappa.n < RELIABLE else []
    return [
        head,
        f"  kappa {shown(found.kappa)}, linear {shown(found.linear)}, quadratic {shown(found.quadratic)}",
        f"  Krippendorff's alpha (ordinal) {shown(found.alpha)}, Fleiss' kappa {shown(found.fleiss)}",
        f"  raw agreement {shown(found.raw)}, commonest label {shown(found.prevalence)}",
        f"  Spearman {shown(found.spearman)}, tau-b {shown(found.tau_b)}, TPR - FPR {shown(found.youden)}",
        *few,
    ]


def _short(name: str, found: Agreement) -> str:
    return f"  {name}: kappa {shown(found.kappa)}, raw agreement {shown(found.raw)}, {found.rows} rows"


def _powered(name: str, found: Powered) -> list[str]:
    return [
        f"  {name}: {shown(found.estimate)}, from {found.labelled} labelled of {found.rows}, slope {found.slope:.2f}",
        f"    labels alone {shown(found.human_only)}, judge alone {shown(found.judge_only)}",
    ]
