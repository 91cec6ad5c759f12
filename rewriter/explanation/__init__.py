"""Says why a text is rewritten, or why not: in sentences, in tables, and as a graph."""
