"""Ray Tune as a disposable executor: one Tuner runs the whole plan, the store is the truth."""
