"""`python -m rewriter.cli` is the same as `rewriter`."""

from rewriter.cli import main

main()
