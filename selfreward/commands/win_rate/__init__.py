"""Preferences with lengths from a file become win rates, raw and length-controlled, each with its interval."""
