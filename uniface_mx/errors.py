"""The error that every tool reports as one line, that line of others' errors, and names that were meant."""

from __future__ import annotations

import difflib
from typing import Any, Iterable, Mapping, Optional


class UnifaceError(Exception):
    """Bad input from the user: the message names the file, record or key and what to do about it."""


def last_line(error: Exception) -> str:
    """The last line of an error's text, or its kind if it says nothing.

    What native libraries have to say stands below their stack.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> Optional[str]:
    """The known word that is most like `word`, or None where none is near."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def suggestion(word: str, known: Iterable[str]) -> str:
    """``", did you mean 'x'?"`` for the nearest known word, or an empty string."""
    near = nearest(word, known)
    return f', did you mean {near!r}?' if near else ''


def lookup(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    """What is known as `name`.

    Raises
    ------
    UnifaceError
        Nothing is; with the nearest name and all valid ones, `kind` being what is named: ``"model"``.
    """
    if name not in known:
        near = suggestion(str(name), known) or ';'
        raise UnifaceError(f'unknown {kind} {name!r}{near} valid names: {", ".join(sorted(known))}')
    return known[name]
