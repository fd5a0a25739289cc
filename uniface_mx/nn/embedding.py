"""The deployed embedding: a face's vector around the mean, with as much of its length as helps; NumPy and graph.

The paper compares 128-D embeddings by their distance and says nothing of their length (section III.D). A teacher's
differs from person to person, so unit length throws away what tells people apart; but poor photos give short
vectors, which lie near each other whoever is on them. `LengthRule` lies between the two.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple, Optional, Tuple

import numpy as np
from mxnet.gluon import HybridBlock

from uniface_mx.nn import Tensor

EPSILON = 1e-12


class LengthRule(NamedTuple):
    """What becomes of a vector r of length l: ``r / l * max(l, floor) ** (1 - power) / scale``.

    Attributes
    ----------
    power : float
        In 0..1: 1 gives unit length, 0 leaves the length as it is.
    floor : float
        Shorter vectors count as this long.
    scale : float
        Divides all, so that the mean squared length of good photos' embeddings is 1.
    """

    power: float = 1.0
    floor: float = 0.0
    scale: float = 1.0

    def lengths(self, raw: np.ndarray) -> np.ndarray:
        """Lengths (n,) that vectors of lengths (n,) are given."""
        return np.maximum(raw, self.floor) ** (1 - self.power) / self.scale

    def embed(self, raw: np.ndarray) -> np.ndarray:
        """Embeddings (n, d) of vectors (n, d) around the mean; rows of 0 stay."""
        length = np.linalg.norm(raw, axis=1, keepdims=True)
        return raw * (self.lengths(length) / np.maximum(length, EPSILON)).astype(raw.dtype)


def scaled(raw: np.ndarray, power: float, floor: float = 0.0) -> LengthRule:
    """The rule of a power and a floor whose scale fits good photos' vectors (n, d) around the mean."""
    lengths = LengthRule(power, floor).lengths(np.linalg.norm(raw, axis=1))
    return LengthRule(power, floor, float(np.sqrt((lengths**2).mean())) if power < 1 else 1.0)


def raw_vectors(embeddings: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Vectors (n, d) around the mean, from embeddings (n, d) of any rule and the vectors' lengths (n,).

    Averages of several embeddings of one face or person are taken of these, before floor and power.
    """
    norm = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings * (np.reshape(lengths, (-1, 1)) / np.maximum(norm, EPSILON)).astype(embeddings.dtype)


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How alike faces are, ``1 - |a - b|^2 / 2``: near 0 for strangers, towards 1 for one person.

    For embeddings of unit length it is their cosine.

    Parameters
    ----------
    first, second : (..., d) arrays
        Broadcast against each other.
    """
    return 1 - ((first - second) ** 2).sum(axis=-1) / 2


def similarities(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`similarity` of each of (n, d) to each of (m, d), (n, m)."""
    squared = ((vectors**2).sum(axis=1) for vectors in (first, second))
    own, other = squared
    return 1 - (own[:, None] + other - 2 * first @ second.T) / 2


class Formed(HybridBlock):
    """A rule as the last step of a graph.

    Parameters
    ----------
    rule : LengthRule

    Inputs
    ------
    Vectors (R, d) around the mean.

    Outputs
    -------
    Embeddings (R, d), and the lengths (R,) of the vectors.
    """

    def __init__(self, rule: LengthRule, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rule = rule

    def hybrid_forward(self, F: ModuleType, raw: Tensor) -> Tuple[Tensor, Tensor]:
        """Vectors (R, d)."""
        power, floor, scale = self.rule
        length = F.sqrt(F.sum(F.square(raw), axis=1, keepdims=True) + EPSILON)
        embeddings = F.broadcast_div(raw, length)
        if power < 1:
            embeddings = F.broadcast_mul(embeddings, F.maximum(length, floor) ** (1 - power) / scale)
        return embeddings, F.reshape(length, shape=(-1,))


def length_rule(entry: Optional[dict]) -> LengthRule:
    """The rule that a manifest's ``embedding`` tells; older ones tell none, and mean unit length."""
    entry = entry or {}
    return LengthRule(
        *(float(entry.get(name, default)) for name, default in zip(LengthRule._fields, (1.0, 0.0, 1.0)))
    )
