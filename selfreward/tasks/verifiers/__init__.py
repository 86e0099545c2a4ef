"""Truth that needs no model. A verifier has `check` and `judgment_quality` as `metrics.evidence.Verifier` says.

All but the sandbox's compare with what the prompt's row brings: `answer` (gold) and `meta`. They also have `require`,
which is asked about every prompt before a run starts and raises DataError for what cannot be verified.
"""

VERIFIERS: dict[str, str] = {
    "sandbox": "selfreward.tasks.verifiers.sandbox:SandboxVerifier",
    "exact": "selfreward.tasks.verifiers.exact:ExactVerifier",
    "contains": "selfreward.tasks.verifiers.contains:ContainsVerifier",
    "numeric": "selfreward.tasks.verifiers.numeric:NumericVerifier",
    "mathematics": "selfreward.tasks.verifiers.mathematics:confined",
    "json_schema": "selfreward.tasks.verifiers.json_schema:confined",
    "sql": "selfreward.tasks.verifiers.sql:confined",
    "code": "selfreward.tasks.verifiers.code.verifier:CodeVerifier",
    "ifeval": "selfreward.tasks.verifiers.ifeval:confined",
    "choice": "selfreward.tasks.verifiers.choice:ChoiceVerifier",
    "refusal": "selfreward.tasks.verifiers.refusal:RefusalVerifier",
}
"""Name in the recipe (`measure.verifier`) -> "module:attribute" of what makes the verifier, without arguments."""

VERSIONS = {"exact": 2, "numeric": 2, "choice": 2, "mathematics": 2}
"""Raised where a verifier says another thing of an answer: a run that the one before has measured cannot go on."""
