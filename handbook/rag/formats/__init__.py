"""One file per format of document: bytes in, text with its structure out, and what was lost on the way."""
