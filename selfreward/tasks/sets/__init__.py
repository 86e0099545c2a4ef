"""Labelled questions for measuring, from files: one reader per kind, each path -> records.

A reader refuses unknown, missing and mistyped fields and repeated ids, by file and line: a benchmark that was read half
is a wrong number. `OWN` are small sets that ship with the package, in the same schemas, so that everything runs
offline; they are smoke tests of a measurement, far too small for a claim.
"""

from pathlib import Path

READERS: dict[str, str] = {
    "seed_instructions": "selfreward.tasks.sets.questions:read_seed_instructions",
    "gsm8k": "selfreward.tasks.sets.questions:read_gsm8k",
    "ifeval": "selfreward.tasks.sets.questions:read_ifeval",
    "truthfulqa": "selfreward.tasks.sets.questions:read_truthfulqa",
    "truthfulqa_mc1": "selfreward.tasks.sets.mc1:read_truthfulqa_mc1",
    "mmlu": "selfreward.tasks.sets.questions:read_mmlu",
    "bbh": "selfreward.tasks.sets.questions:read_bbh",
    "mt_bench": "selfreward.tasks.sets.questions:read_mt_bench",
    "eval_prompts": "selfreward.tasks.sets.questions:read_eval_prompts",
    "xstest": "selfreward.tasks.sets.questions:read_xstest",
    "judge_calibration": "selfreward.tasks.sets.labels:read_judge_calibration",
    "truth_judge": "selfreward.tasks.sets.labels:read_truth_judge",
    "refusal_labels": "selfreward.tasks.sets.labels:read_refusal_labels",
    "sycophancy": "selfreward.tasks.sets.sycophancy:read_sycophancy",
    "code_tasks": "selfreward.tasks.sets.questions:read_code_tasks",
    "behaviour_drift": "selfreward.tasks.sets.sycophancy:read_behaviour_drift",
    "liked_text": "selfreward.tasks.sets.conversations:read_liked_text",
    "both_sides": "selfreward.tasks.sets.conversations:read_both_sides",
    "false_premise": "selfreward.tasks.sets.conversations:read_false_premise",
    "long_dialogue": "selfreward.tasks.sets.conversations:read_long_dialogue",
    "tampering": "selfreward.tasks.sets.conversations:read_tampering",
}
"""Kind of file -> "module:attribute" of its reader."""

OWN_FOLDER = Path(__file__).parent / "own"
OWN: dict[str, str] = {
    "arithmetic": "gsm8k",
    "code": "code_tasks",
    "refusals": "xstest",
    "sycophancy": "sycophancy",
    "mimicry": "sycophancy",
    "liked_text": "liked_text",
    "both_sides": "both_sides",
    "false_premise": "false_premise",
    "long_dialogue": "long_dialogue",
    "tampering": "tampering",
}
"""Name of a set that ships here (a file of `OWN_FOLDER`) -> the kind of its rows."""
TALKS = ("sycophancy", "behaviour_drift", "liked_text", "both_sides", "false_premise", "long_dialogue", "tampering")
"""Kinds whose rows are conversations: probes ask them, and no verifier grades them one by one."""
