"""`manyfaces bulk`: a run, and what is done with its rows."""
