"""`selfreward judge-bench`: any judges over labelled pools, with what each costs. Nothing is trained."""
