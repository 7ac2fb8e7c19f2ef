"""What drives the nets: training, testing, checkpoints, import of weights. Only here and in lib/nets Keras comes in."""
