"""Before any test imports torch: one thread (results depend on the thread count), and no hub is ever asked."""

import gc
import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("untimed", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Only a power cut shows whether fsync was called, and a run in a test calls it a hundred times a round, some
# milliseconds each in which a core is idle. Processes that a test starts (the command, the kills) keep the real one.
os.fsync = os.fstat  # still refuses a descriptor that is closed

# Thousands of tests and all libraries are held to the end: no full collection need walk through them again.
gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.enable()
