"""What the RAG chapter's claims measure, a module a stage.

`subjects` holds what is searched: SciFact and CACM where this machine has them, and the book's own chapters
with their interview questions, whose rubrics name the paragraph that answers. Functions that a claim names
take `small` (a part of the set, for a look and for tests) and return one number, or one per repetition; a
difference comes as the ends and the middle of its interval. The others serve the lab's own plots.
"""
