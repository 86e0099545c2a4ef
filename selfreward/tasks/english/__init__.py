"""Everyday requests in English with verifiable instructions: a truth that needs no judge, for real models."""
