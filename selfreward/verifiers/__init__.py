"""Truth that needs no model. A verifier has `check` and `judgment_quality` as `metrics.evidence.Verifier` says."""

VERIFIERS: dict[str, str] = {"sandbox": "selfreward.verifiers.sandbox:SandboxVerifier"}
"""Name in the recipe (`measure.verifier`) -> "module:attribute" of a class without constructor arguments."""
