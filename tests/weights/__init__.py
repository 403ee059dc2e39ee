"""Tests of handbook.model.weights: catalogue and fetching."""
