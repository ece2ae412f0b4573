"""The training loop, batches, trainable vectors and what both evaluations share."""
