"""Verifiers that misbehave, importable by the worker process that has to survive them."""

import os
import time

from selfreward.errors import DataError
from selfreward.tasks.verifiers.truths import decided


class Misbehaving:
    def require(self, prompt):
        if prompt.answer == "hang":
            time.sleep(600)
        if prompt.answer is None:
            raise DataError("prompt p has no answer")

    def check(self, prompt, text):
        if text == "raise":
            raise RuntimeError("no such thing")
        if text == "hang":
            time.sleep(600)
        if text == "die":
            os._exit(3)
        return decided(text == "right", text)


class CannotStart:
    def __init__(self):
        raise OSError("nothing here")
