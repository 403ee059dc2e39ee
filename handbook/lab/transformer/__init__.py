"""What the transformer chapter's claims measure, a module a section of the chapter.

Functions that a claim names take `small` (short settings, for a look and for tests) and return one number, or
one per repetition; what they measure is said by the claim. The others serve the lab's own plots. Modules
load torch: only labs import them.
"""
