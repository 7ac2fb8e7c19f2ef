"""The exception for bad input: a file, a key or a value that the reader of the message can correct."""


class InputError(ValueError):
    """An input of the user is wrong.

    The message is one line that names what is wrong and where (file, line or key), what was found, what was
    expected and, where it helps, what to do. Tools print it after `error:` and exit 2, without a traceback.
    """
