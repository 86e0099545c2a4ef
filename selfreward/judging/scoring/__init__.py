"""How often a role is asked, and how its verdicts become a number. Unreadable verdicts never do."""
