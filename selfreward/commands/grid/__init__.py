"""Grids from the command line, in slices, and what they will cost; running one is ablate.py's."""
