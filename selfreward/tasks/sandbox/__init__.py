"""The sandbox: a small world whose truth is known, and the tiny model that lives in it.

`world` is pure (standard library only). `model`, `sampling`, `skill` and `bootstrap` need torch, transformers and trl.
"""
