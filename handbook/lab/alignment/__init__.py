"""What the alignment chapter's claims measure, a module a section of the chapter.

`toy` has what paper and pencil could do, `memory` counts, `tuned` trains a real chat model on pairs and
`learner` a tiny one on rewards. Functions that a claim names take `small` (short settings, for a look and for
tests) and return one number, or one per repetition; what they measure is said by the claim. `looks` serves
the lab's own plots.
"""
