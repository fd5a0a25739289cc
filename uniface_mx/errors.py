"""The error that every tool reports as one line."""


class UnifaceError(Exception):
    """Bad input from the user: the message names the file, record or key and what to do about it."""
