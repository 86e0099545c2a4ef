"""A round's policy and the run's pools for other people's evaluation programs: inspect_ai and lm-evaluation-harness."""
