"""What drives the nets: training, testing, checkpoints, import of weights. Here and in lib/nets alone is Keras loaded."""
