"""Finished trajectories of agents that use tools: what they are, how they are written as one text, and their files."""
