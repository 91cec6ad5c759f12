"""Read dialogue logs into one table of turns."""
