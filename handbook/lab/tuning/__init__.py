"""What the lab on fine-tuning measures with and draws: what is learnt and forgotten, and what it costs."""
