"""Weights on disk: which there are, where they lie, and how their bytes become tensors."""
