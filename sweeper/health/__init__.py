"""Whether a study could run: what each host says of itself, and what is wrong with it."""
