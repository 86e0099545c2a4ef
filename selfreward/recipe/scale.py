"""The scale of all scores (SRLM's additive prompt): judges', people's, verifiers' qualities and ratings."""

LOWEST, HIGHEST = 0.0, 5.0
