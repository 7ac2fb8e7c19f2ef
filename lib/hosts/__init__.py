"""Processes on several hosts that train together: who they are, how they talk, how they are started. No Keras."""
