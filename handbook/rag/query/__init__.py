"""Stage 5, understand: what is done to a question before anything is looked for. `rag.understand`
composes.
"""
