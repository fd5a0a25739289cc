"""The error that every tool reports as one line, and that line of others' errors."""


class UnifaceError(Exception):
    """Bad input from the user: the message names the file, record or key and what to do about it."""


def last_line(error: Exception) -> str:
    """The last line of an error's text, or its kind if it says nothing: what native libraries have to say stands
    below their stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
