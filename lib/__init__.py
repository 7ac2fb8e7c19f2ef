"""manyfaces: train, evaluate, run and ship face detectors.

Importing the package loads neither TensorFlow nor Keras: they come in when a net is built.
"""

__version__ = "0.1.0"
