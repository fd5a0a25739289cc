"""Names for things that are built by name."""
from __future__ import annotations

import difflib
from typing import Callable, Dict, Iterable, Iterator, Optional

from uniface_mx.errors import UnifaceError


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> Optional[str]:
    """The known word that is most like `word`, or None where none is near."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def suggestion(word: str, known: Iterable[str]) -> str:
    """``", did you mean 'x'?"`` for the nearest known word, or an empty string."""
    near = nearest(word, known)
    return f', did you mean {near!r}?' if near else ''


class Registry:
    """Builders of one kind of thing by name.

    Parameters
    ----------
    kind : str
        What is built, as the error calls it: ``"model"``.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._builders: Dict[str, Callable] = {}

    def register(self, name: str) -> Callable:
        """Decorator that enters a builder under `name`."""
        if name in self._builders:
            raise ValueError(f'{self.kind} {name!r} is registered twice')

        def enter(builder: Callable) -> Callable:
            self._builders[name] = builder
            return builder
        return enter

    def __getitem__(self, name: str) -> Callable:
        """The builder called `name`; raises :class:`UnifaceError` with the valid names."""
        if name not in self._builders:
            raise UnifaceError(f"unknown {self.kind} {name!r}{suggestion(name, self) or ';'} "
                               f"valid names: {', '.join(self)}")
        return self._builders[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._builders))
