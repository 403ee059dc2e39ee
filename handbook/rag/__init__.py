"""Retrieval over the book, one file a stage; `pipeline` composes them."""
