"""The command line: `handbook VERB`. Each verb has a module of its own, loaded when called."""

from handbook.app.cli.main import main

__all__ = ["main"]
