"""Practice: exercises judged, in processes that hold what they run."""
