"""What the model is asked in each part, and how its reply is read: a prompt and the parser of its reply, side by side.

To add a judge prompt: write `templates/judge/<name>.txt`, and set `judge.question.template`.
"""

from selfreward.roles.catalogue import TEMPLATES, template, version

__all__ = ["TEMPLATES", "template", "version"]
