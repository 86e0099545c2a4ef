"""What an id is made from, and what a seed."""

import hashlib
import json


def stable_id(*parts: object) -> str:
    """16 hex digits that depend on `parts` and on nothing else (SHA-256 of their JSON)."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, default=str).encode()).hexdigest()[:16]


def seed_for(*parts: object) -> int:
    """A seed in [0, 2**31) made from run seed, round, role and ids: the same work always gets the same seed."""
    return int(stable_id(*parts), 16) % 2**31
