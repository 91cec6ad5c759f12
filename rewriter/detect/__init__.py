"""Learning from a log, without annotation, what went wrong and what restates what."""
