"""What the coding chapter measures: numerics, structures, classic models, streams, and the judge itself."""
