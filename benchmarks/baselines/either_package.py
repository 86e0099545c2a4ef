"""The same names of this package, wherever a checkout of one commit or another has them."""

from typing import Any


class Package:
    """The names that a worker needs, wherever the checkout has them."""

    def __init__(self) -> None:
        try:
            from selfreward.engines import handoff
            from selfreward.engines.hugging_face.engine import HuggingFaceEngine
            from selfreward.engines.tensors import weights_digest
            from selfreward.recipe import TransformersRecipe as EngineRecipe
        except ImportError:
            from selfreward.checkpoints import weights_digest

            from selfreward import handoff
            from selfreward.engines.hugging_face import HuggingFaceEngine
            from selfreward.recipe import EngineRecipe
        from selfreward.engines.protocol import ReplyStart, Request, TokenSequence
        from selfreward.recipe import HandOffRecipe, ModelRecipe
        from selfreward.records import Message

        self.handoff, self.digest = handoff, weights_digest
        self.engine, self.engine_recipe = HuggingFaceEngine, EngineRecipe
        self.start, self.request, self.text = ReplyStart, Request, TokenSequence
        self.handoff_recipe, self.model_recipe, self.message = HandOffRecipe, ModelRecipe, Message

    def built(self, dtype: str, threads: int) -> Any:
        return self.engine(self.model_recipe(dtype=dtype, device="cpu"), self.engine_recipe(threads=threads))
