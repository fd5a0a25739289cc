"""The rule of an embedding's length: its numbers, the graph beside NumPy, and similarity."""

import mxnet as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniface_mx.nn.embedding import (
    Formed,
    LengthRule,
    length_rule,
    raw_vectors,
    scaled,
    similarities,
    similarity,
)

RAW = np.array([[3, 4], [0, 0.5], [0, 0]], np.float32)
RULES = (LengthRule(), LengthRule(0.5, 1.0, 2.0), LengthRule(0.75, 0.25, 1.5), LengthRule(0.0, 0.0, 1.0))


@pytest.mark.parametrize(
    ('rule', 'expected'),
    [
        (LengthRule(), [[0.6, 0.8], [0, 1], [0, 0]]),
        # Lengths 5 and 0.5, the latter below the floor of 1: roots of 5 and of 1, halved.
        (LengthRule(0.5, 1.0, 2.0), [[0.6708204, 0.8944272], [0, 0.5], [0, 0]]),
        (LengthRule(0.0), [[3, 4], [0, 0.5], [0, 0]]),
    ],
)
def test_numbers(rule, expected):
    assert rule.embed(RAW) == pytest.approx(np.array(expected), abs=1e-6)


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('hybrid', [False, True])
def test_the_graph_gives_what_numpy_gives(rule, hybrid):
    block = Formed(rule)
    if hybrid:
        block.hybridize()
    raw = np.random.default_rng(0).normal(0, 0.3, (5, 128)).astype(np.float32)
    embeddings, lengths = block(mx.nd.array(raw))
    assert embeddings.asnumpy() == pytest.approx(rule.embed(raw), abs=1e-6)
    assert lengths.asnumpy() == pytest.approx(np.linalg.norm(raw, axis=1), abs=1e-5)


@pytest.mark.parametrize('rule', RULES)
def test_the_vector_is_got_back(rule):
    raw = np.random.default_rng(1).normal(0, 0.3, (5, 8))
    assert raw_vectors(rule.embed(raw), np.linalg.norm(raw, axis=1)) == pytest.approx(raw, abs=1e-9)


def test_the_scale_makes_the_mean_squared_length_one():
    raw = np.random.default_rng(2).normal(0, 0.3, (100, 8))
    for power, floor in ((1.0, 0.7), (0.5, 0.7), (0.0, 0.0)):
        embeddings = scaled(raw, power, floor).embed(raw)
        assert (embeddings**2).sum(axis=1).mean() == pytest.approx(1)
    assert scaled(raw, 1.0, 0.7).scale == 1


def test_similarity_of_unit_vectors_is_their_cosine():
    first, second = np.array([0.6, 0.8]), np.array([1.0, 0.0])
    assert similarity(first, second) == pytest.approx(0.6)
    assert similarity(first, first) == 1
    assert similarity(2 * first, np.zeros(2)) == pytest.approx(-1)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**31))
def test_all_similarities_are_those_of_each_pair(rows, columns, seed):
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(rows, 3)), random.normal(size=(columns, 3))
    expected = [[similarity(one, other) for other in second] for one in first]
    assert similarities(first, second) == pytest.approx(np.array(expected), abs=1e-9)


def test_what_manifests_tell():
    assert length_rule(None) == length_rule({'unit_length': True}) == LengthRule(1.0, 0.0, 1.0)
    assert length_rule({'power': 0.65, 'floor': 0.4, 'scale': 0.8}) == LengthRule(0.65, 0.4, 0.8)
