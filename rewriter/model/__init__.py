"""Models and data structures that learning and serving share."""
