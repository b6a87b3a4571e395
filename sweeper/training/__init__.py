"""The torch floor: models, batches, the training loop, resume points, scoring, job handlers."""
