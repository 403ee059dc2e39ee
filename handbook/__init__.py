"""The handbook that runs: GenAI lead and architect interviews, as a book, a library and practice rooms."""

__version__ = "0.1.0"
