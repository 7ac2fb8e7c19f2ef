"""Where images come from: a list of all of them, made once, and what reads each."""
