"""Training: a plain loop, checkpoints that resume, and recipes small enough for a laptop."""
