"""The error that every tool reports as one line, and that line of others' errors."""


class UnifaceError(Exception):
    """Bad input from the user: the message names the file, record or key and what to do about it."""


def last_line(error: Exception) -> str:
    """The last line of an error's text: what MXNet has to say stands below its stack."""
    return str(error).strip().split('\n')[-1]
