"""What vLLM changes in the process that builds it, and how that is put back."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def restored(environment: dict[str, str], threads: int) -> Iterator[None]:
    """Build under `environment`; put back it, the threads and the random state of this process."""
    import torch

    before = {name: os.environ.get(name) for name in environment}
    set_threads = torch.set_num_threads
    set_threads(threads)
    os.environ.update(environment)
    try:
        with random_state():
            yield
    finally:
        # vLLM's CPU worker replaces the function by a warning.
        torch.set_num_threads = set_threads
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def random_state() -> Iterator[None]:
    """In this process, vLLM seeds the global generators when it is built and draws from torch's when it samples."""
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
