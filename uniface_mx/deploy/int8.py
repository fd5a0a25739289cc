"""Int8 graphs of a model, for CPUs: MXNet's own quantization of oneDNN's fused layers."""

from __future__ import annotations

import contextlib
import json
from itertools import chain, islice
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.contrib import quantization
from mxnet.gluon import nn

from uniface_mx.data.records import BOX, HAS_LANDMARKS, IGNORE, LANDMARKS, Record, RecordError, RecordReader
from uniface_mx.errors import UnifaceError
from uniface_mx.geometry import area, letterbox
from uniface_mx.models.uniface import Uniface
from uniface_mx.nn.phases import as_convolutions
from uniface_mx.nn.top_down import TopDown

FUSION = 'MKLDNN_QUANTIZE'
BATCH = 8
PHOTOS = 64
# Operators that only move values, and move bytes as well.
MOVES = ('Reshape', 'slice', '_slice_assign')

Arrays = Dict[str, mx.nd.NDArray]


class CalibrationError(UnifaceError):
    """Records that cannot tell which values occur in a network."""


class Calibration(NamedTuple):
    """Photos with a face each: (P, 3, S, S) float32 as the network takes them, and (P, 14) box and landmarks
    in input pixels; `about` is the manifest's entry on where they come from.
    """

    canvases: np.ndarray
    faces: np.ndarray
    about: Dict[str, Any]

    def batches(self) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        """Canvases (8, 3, S, S), and faces (8, 15) as the faces' graph takes them."""
        for start in range(0, len(self.canvases), BATCH):
            faces = self.faces[start : start + BATCH]
            number = np.arange(BATCH, dtype=np.float32)[:, None]
            yield self.canvases[start : start + BATCH], np.concatenate([number, faces], axis=1)


def read_calibration(records: Sequence[str], size: int, photos: int = PHOTOS) -> Calibration:
    """Photos of record sets, by turns, and the largest face of each that has landmarks.

    Parameters
    ----------
    records : sequence of str
        Names of record sets.
    size : int
        Side of the network's input.
    photos : int
        At most so many; a multiple of 8 is taken.

    Raises
    ------
    CalibrationError
        No records are named, or they hold fewer than 8 photos with such a face.
    RecordError
        A record set is not there or not whole.
    """
    if not records:
        raise CalibrationError(
            'int8 needs photos that show which values occur: give --calibrate RECORDS, the name of a record '
            'set of tools/prepare_data.py'
        )
    readers = [RecordReader(name) for name in records]
    orders = [np.random.RandomState(0).permutation(len(reader)) for reader in readers]
    turns = (
        (reader, int(order[turn]))
        for turn in range(max(map(len, orders)))
        for reader, order in zip(readers, orders)
        if turn < len(order)
    )
    found = list(islice(_usable(turns, size), photos))
    count = len(found) // BATCH * BATCH
    if not count:
        raise CalibrationError(
            '{}: {} photos with a face that has landmarks; {} or more are needed to calibrate'.format(
                ', '.join(records), len(found), BATCH
            )
        )
    canvases, faces = (np.array(part, np.float32) for part in zip(*found[:count]))
    about = {'records': [Path(reader.name).name for reader in readers], 'photos': count}
    return Calibration(canvases, faces, about)


def _usable(turns: Iterable[Tuple[RecordReader, int]], size: int) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    for reader, number in turns:
        try:
            record = reader[number]
            image = record.decode()
        except RecordError:
            continue
        face = _largest_face(record)
        if face is not None:
            canvas, scale = letterbox(image, size)
            yield canvas.transpose(2, 0, 1), face * scale


def _largest_face(record: Record) -> np.ndarray:
    """Box and landmarks (14,) in pixels of the photo; None where no face has landmarks."""
    rows = record.objects[(record.objects[:, HAS_LANDMARKS] == 1) & (record.objects[:, IGNORE] == 0)]
    if not len(rows):
        return None
    pixels = np.concatenate([rows[:, BOX], rows[:, LANDMARKS]], axis=1)
    pixels = pixels * np.tile([record.width, record.height], 7)
    return pixels[np.argmax(area(pixels[:, :4]))]


@contextlib.contextmanager
def without_deconvolutions(net: Uniface, side: int) -> Iterator[None]:
    """The network with convolutions in the place of its deconvolutions, while the context lasts.

    Parameters
    ----------
    net : Uniface
        With weights.
    side : int
        Of its recognition map F_r.
    """
    pathway = net.network.recognition_map
    if not isinstance(pathway, TopDown):
        yield
        return
    units = pathway.deconv
    pathway.deconv = nn.HybridSequential(prefix='')
    for number, unit in enumerate(units):
        pathway.deconv.add(as_convolutions(unit, side >> (len(units) - 1 - number)))
    try:
        yield
    finally:
        pathway.deconv = units


def quantize(
    symbol: mx.sym.Symbol, arrays: Mapping[str, mx.nd.NDArray], batches: Iterable[Mapping[str, np.ndarray]]
) -> Tuple[mx.sym.Symbol, Arrays]:
    """A graph in int8, and its arrays under their stock names.

    Ranges of values are the least and the largest that occur. oneDNN quantizes the weights, each output
    channel by itself, when the graph first runs: arrays stay float32.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
    arrays : mapping
        Its parameters under their stock names, ``arg:`` and ``aux:``.
    batches : iterable of mapping
        Inputs by name, all of the same shapes.
    """
    arguments, statistics = (
        {name[4:]: array for name, array in arrays.items() if name.startswith(kind)}
        for kind in ('arg:', 'aux:')
    )
    fused = symbol.get_backend_symbol(FUSION)
    quantized, _, _, collector = quantization.quantize_graph(
        fused,
        arguments,
        statistics,
        calib_mode='naive',
        quantized_dtype='auto',
        quantize_mode='smart',
        quantize_granularity='channel-wise',
        logger=None,
    )
    batches = iter(batches)
    first = next(batches)
    inputs = {name: mx.nd.zeros(array.shape) for name, array in first.items()}
    executor = fused.bind(mx.cpu(), dict(arguments, **inputs), grad_req='null', aux_states=statistics)
    executor.set_monitor_callback(collector.collect, monitor_all=True)
    for batch in chain([first], batches):
        for output in executor.forward(is_train=False, **batch):
            output.wait_to_read()
    quantized, arguments, statistics = quantization.calib_graph(
        quantized, arguments, statistics, collector, calib_mode='naive', quantized_dtype='auto', logger=None
    )
    quantized = move_bytes(quantized.get_backend_symbol(FUSION))
    kept = set(quantized.list_arguments())
    named = {'arg:' + name: array for name, array in arguments.items() if name in kept}
    return quantized, dict(named, **{'aux:' + name: array for name, array in statistics.items()})


def move_bytes(symbol: mx.sym.Symbol) -> mx.sym.Symbol:
    """A quantized graph in which values that are only moved about are turned into float32 afterwards.

    MXNet quantizes the operators of its list, and puts a conversion to float32 before any other: the
    interleaving of `PhaseDeconvolution`'s outputs would move four times the bytes, and be quantized again.
    """
    graph = json.loads(symbol.tojson())
    nodes: List[dict] = []
    # By a node's former number: the 8-bit entry that stands for its output, and the entries of its range.
    raw: Dict[int, List[list]] = {}
    # By a former entry: the entry now.
    now: Dict[Tuple[int, int], list] = {}

    def emit(node: dict, inputs: List[list]) -> int:
        nodes.append(dict(node, inputs=inputs))
        return len(nodes) - 1

    def floating(entry: Sequence[int]) -> list:
        number, output = entry[0], entry[1]
        if (number, output) not in now:
            node = graph['nodes'][number]
            if node['op'] != '_contrib_dequantize':
                node = {'op': '_contrib_dequantize', 'name': node['name'] + '_dequantize'}
            now[number, output] = [emit(node, raw[number]), 0, 0]
        return now[number, output]

    for number, node in enumerate(graph['nodes']):
        sources = [raw.get(entry[0]) for entry in node['inputs']]
        if node['op'] == '_contrib_dequantize':
            raw[number] = [now[entry[0], entry[1]] for entry in node['inputs']]
        elif node['op'] in MOVES and all(sources) and all(source[1:] == sources[0][1:] for source in sources):
            entry = [emit(node, [source[0] for source in sources]), 0, 0]
            raw[number] = [entry] + sources[0][1:]
        elif node['op'] == '_contrib_quantize_v2' and sources[0]:
            for output, entry in enumerate(sources[0]):
                now[number, output] = entry
        else:
            place = emit(node, [floating(entry) for entry in node['inputs']])
            for output in range(graph['node_row_ptr'][number + 1] - graph['node_row_ptr'][number]):
                now[number, output] = [place, output, 0]
    graph['heads'] = [floating(entry) for entry in graph['heads']]
    graph['nodes'] = nodes
    graph['arg_nodes'] = [number for number, node in enumerate(nodes) if node['op'] == 'null']
    del graph['node_row_ptr']
    return mx.sym.load_json(json.dumps(graph))
