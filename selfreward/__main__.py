"""`python -m selfreward` is the same as the command."""

from selfreward.cli import main

main()
