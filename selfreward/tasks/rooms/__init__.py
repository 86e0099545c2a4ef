"""*rooms*: a small world with three tools, whose oracle knows which calls were right and what reached the goal."""
