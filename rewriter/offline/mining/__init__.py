"""Mine rephrases and count transitions."""
