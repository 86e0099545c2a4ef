"""Programs that a model wrote, run confined against golden calls; see README.md."""
