"""Training: the loop, checkpoints, logs, schedule, selection, and mining of samples with a cascade."""
