"""Models that learn from a log, without annotation, which turns went wrong and which turns restate others."""
