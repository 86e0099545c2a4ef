"""Human anchors: a blinded sheet of a run's answers for people to score, and what their labels say about the judge."""
