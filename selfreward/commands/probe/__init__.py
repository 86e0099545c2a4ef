"""Metric families on any checkpoint, without a loop: `selfreward probe`. Nothing is kept but what is asked for."""
