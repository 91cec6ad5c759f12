"""The command line: each verb parses, calls one function and prints what it returns."""

import sys

try:
    import click  # noqa: F401
except ImportError:  # pragma: no cover - the serving tier has no command line
    sys.exit("the command line needs the learning tier: pip install 'rewriter[learn]'")

from rewriter.cli import asking, learning, measuring, operating, teaching  # each module adds its verbs to the group
from rewriter.cli.group import main

__all__ = ["asking", "learning", "main", "measuring", "operating", "teaching"]
