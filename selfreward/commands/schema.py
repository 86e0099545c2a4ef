"""`selfreward schema`: what stands in every file of a run, as JSON Schema made of the record types themselves.

The version changes when a record does. A reader of another version may find fields that it does not know, or miss new
ones; rows of former versions are still read here (`records/lines.py`), which is why fields that came later may be left
out where they say nothing.
"""

import hashlib
import json
import re
from typing import Any

from pydantic import TypeAdapter

from selfreward.commands.anchors.key import Key
from selfreward.errors import DataError
from selfreward.judging.revising.rows import Critique, Revision
from selfreward.measuring.evidence import AskedValue, ProbeReply
from selfreward.pairing.consistency import Consistency
from selfreward.records import (
    Comparison,
    Drop,
    Judgment,
    Labelled,
    Likelihood,
    Measurement,
    MetaJudgment,
    Pair,
    Prompt,
    Ranking,
    Response,
    Reward,
    Sample,
    Speech,
    StepVerdict,
)
from selfreward.report.verdict_file import Verdict
from selfreward.store.artifacts import COMPARISONS, LISTS, SPEECHES, STEPS
from selfreward.store.seals import Seal
from selfreward.tasks.anchors_file import Anchor
from selfreward.tasks.verifiers.grade import GradeRow

VERSIONS: dict[int, str] = {1: "9581fed332c80551", 2: "79ca151e3a2c362e", 3: "b55d0c73aa38b6cc"}
"""Each version and the digest of its schemas. When a record changes, a test asks for the next one."""

ROWS: dict[str, type] = {
    r"prompts|pools|cohorts|reward_prompts": Prompt,
    r"(eval_|cohort_|reward_)?responses(_\d+)?|written|revisions": Response,
    r"frozen": Labelled,
    rf"\w+_{COMPARISONS}": Comparison,
    rf"\w+_{LISTS}": Ranking,
    rf"\w+_{STEPS}": StepVerdict,
    rf"\w+_{SPEECHES}": Speech,
    r"meta_judgments": MetaJudgment,
    r"(\w+_)?judgments(_\w+)?|held_out_\w+|reward_scores|verdicts": Judgment,
    r"critiques_\d+": Critique,
    r"revisions_\d+": Revision,
    r"pairs|reward_pairs": Pair,
    r"dropped": Drop,
    r"rewards": Reward,
    r"samples": Sample,
    r"\w*likelihoods(_\w+)?": Likelihood,
    r"consistency": Consistency,
    r"grades": GradeRow,
    r"judge_probes": ProbeReply,
    r"asked": AskedValue,
    r"measurements": Measurement,
}
"""What a row of `round-NN/<artifact>.jsonl` is, by the artifact's whole name; the first that fits decides."""

BESIDE: dict[str, type] = {
    "round-NN/<artifact>.done.json": Seal,
    "verdict.json, all but of": Verdict,
    "<sheet>.key.json, under key": Key,
    "anchors.jsonl, a row": Anchor,
}
"""Files that are no artifact's rows."""


def row_type(artifact: str) -> type:
    """The record of an artifact's rows. Raises DataError for a name that no run writes."""
    for pattern, record in ROWS.items():
        if re.fullmatch(pattern, artifact):
            return record
    raise DataError(f"artifact {artifact!r}: no run writes one of that name; expected one of {', '.join(ROWS)}")


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each record, by its name."""
    types = dict.fromkeys([*ROWS.values(), *BESIDE.values()])
    return {record.__name__: TypeAdapter(record).json_schema() for record in types}


def digest(found: dict[str, dict[str, Any]]) -> str:
    """Of names, types and defaults; words about them may change without another version."""
    text = json.dumps(_bare(found), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _bare(inside) for name, inside in value.items() if name not in ("description", "title")}
    return [_bare(inside) for inside in value] if isinstance(value, list) else value


def document() -> dict[str, Any]:
    """Everything: the version, which record each file holds, and the records."""
    return {
        "version": max(VERSIONS),
        "artifacts": {pattern: record.__name__ for pattern, record in ROWS.items()},
        "files": {name: record.__name__ for name, record in BESIDE.items()},
        "records": schemas(),
    }
