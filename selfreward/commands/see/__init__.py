"""What runs, how far it is and what it found: in the terminal and as a local page, from the runs' files alone."""
