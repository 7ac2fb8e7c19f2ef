"""What drives the nets: training, testing, checkpoints, import of weights. Keras is loaded here and in lib/nets."""
