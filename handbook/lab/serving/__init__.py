"""What the serving chapter's claims measure, a module a section of the chapter.

`streams` makes requests, `simulator` serves them with the engine's own scheduler on a clock that is only
counted, `machine` serves them with the engine itself. Functions that a claim names take `small` (short
settings, for a look and for tests) and return one number, or one per repetition; what they measure is said by
the claim. The others serve the lab's own plots.
"""
