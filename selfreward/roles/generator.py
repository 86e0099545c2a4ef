"""The generator: the prompt's own messages, with a system text in front where the template has one.

A prompt that brings its own system message keeps it.
"""

from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import words


def ask(template: str, prompt: Prompt) -> tuple[Message, ...]:
    system = words("generator", template)
    if not system or prompt.messages[0].role == "system":
        return prompt.messages
    return (Message("system", system), *prompt.messages)
