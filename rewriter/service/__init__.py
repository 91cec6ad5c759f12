"""The HTTP service: `Rewriter` behind a few endpoints, for assistants that are not written in Python."""
