"""Running a model: drawing tokens, one after another."""
