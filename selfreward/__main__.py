"""`python -m selfreward` is the same as the command."""

from selfreward.commands.cli import main

main()
