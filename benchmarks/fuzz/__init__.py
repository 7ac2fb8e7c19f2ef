"""A fuzz of everything that reads what comes from outside: mutated files for all readers, wrong arguments for all
compiled functions.

target.py says what a target is; inputs.py makes the sound files that readers.py reads and mutations.py damages;
functions.py has the arguments of the compiled functions; watch.py runs the inputs in child processes.
"""
