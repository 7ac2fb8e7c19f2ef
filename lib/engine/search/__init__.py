"""Search over keys of a config: Optuna chooses the values, each trial is a training in a process of its own."""
