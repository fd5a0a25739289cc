"""Models in files: an exported model's names, manifest, checksums and graphs, and weights in and out of a network."""

from __future__ import annotations

import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence, Tuple, Union

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock
from mxnet.gluon.parameter import Constant

from uniface_mx.errors import UnifaceError, last_line
from uniface_mx.files import file_hash, written_aside
from uniface_mx.paths import resource

PathLike = Union[str, os.PathLike]
Arrays = Dict[str, mx.nd.NDArray]

FORMAT = 1
# A model's parts: the whole graph, and its two halves, which have the same weights. And the kinds of numbers they
# compute with.
WHOLE, TRUNK, FACES = 'whole', 'trunk', 'faces'
FLOAT, INT8 = 'float', 'int8'
MISSING = 'no such manifest; give the prefix of an exported model, as DIR/NAME'


class ManifestError(UnifaceError):
    """An exported model that is incomplete, damaged, or written by something else."""


class ModelFiles:
    """The files of one exported model.

    ``NAME.json`` is the manifest: what goes in, what comes out, and the sha256 of every other file. A graph is
    ``NAME-symbol.json``, ``NAME-PART-symbol.json`` for a half, ``NAME-PART-int8-symbol.json`` for a half in int8, or
    ``NAME.onnx`` and ``NAME-PART.onnx``.

    Parameters
    ----------
    prefix : path
        ``DIR/NAME``.
    """

    def __init__(self, prefix: PathLike) -> None:
        self.prefix = Path(prefix)

    @classmethod
    def find(cls, model: PathLike) -> ModelFiles:
        """The files of a prefix, with or without ``.json``, or of the model of this name that ships.

        Raises
        ------
        ManifestError
            There is neither.
        """
        shipped = resource('symbols')
        if not Path(model).name:
            wanted = 'give the prefix of an exported one, as DIR/NAME'
            raise ManifestError(f'{str(model)!r}: is no model; {wanted}')
        for files in map(cls, (model, shipped / model, re.sub(r'\.json$', '', str(model)))):
            if files.manifest_path.is_file():
                return files
        names = sorted(path.stem for path in shipped.glob('*.json') if not path.stem.endswith('-symbol'))
        ships = f'or the name of one that ships trained ({", ".join(names) or "there is none"})'
        raise ManifestError(f'{cls(model).manifest_path}: {MISSING}, {ships}')

    def part_prefix(self, part: str = WHOLE, kind: str = FLOAT) -> Path:
        """How the names of a part's files begin."""
        words = [self.prefix.name, *([] if part == WHOLE else [part]), *([] if kind == FLOAT else [kind])]
        return self.prefix.with_name('-'.join(words))

    def symbol_path(self, part: str = WHOLE, kind: str = FLOAT) -> Path:
        """A part's graph."""
        return Path(f'{self.part_prefix(part, kind)}-symbol.json')

    def weights_path(self, part: str = WHOLE, kind: str = FLOAT) -> Path:
        """A part's weights: in float the same for all parts."""
        return Path(f'{self.part_prefix(WHOLE if kind == FLOAT else part, kind)}-0000.params')

    def onnx_path(self, part: str = WHOLE) -> Path:
        """A part's graph and weights as ONNX."""
        return Path(f'{self.part_prefix(part)}.onnx')

    @property
    def manifest_path(self) -> Path:
        """The manifest."""
        return Path(f'{self.prefix}.json')

    @cached_property
    def manifest(self) -> Dict[str, Any]:
        """What the manifest says, unchecked; raises `ManifestError` where there is none, or it is something else."""
        path = self.manifest_path
        try:
            manifest = json.loads(path.read_text())
        except FileNotFoundError:
            raise ManifestError(f'{path}: {MISSING}') from None
        except (OSError, ValueError) as error:
            raise ManifestError(f'{path}: cannot be read as a manifest ({error})') from None
        known = isinstance(manifest, dict) and manifest.get('format') == FORMAT
        if not known or not isinstance(manifest.get('files'), dict):
            raise ManifestError(f'{path}: not a manifest of format {FORMAT}; export the model anew')
        return manifest

    def verify(self) -> Dict[str, Any]:
        """The manifest, once every file that it names is found to be the one that was exported.

        Raises
        ------
        ManifestError
            The manifest or a file is missing, or a file is another.
        """
        own = self.manifest_path
        for name, digest in self.manifest['files'].items():
            path = own.with_name(Path(name).name)
            if path.name != name or not path.is_file():
                raise ManifestError(f'{own.parent / name}: missing, but {own.name} names it')
            if file_hash(path) != digest:
                wrong = f'damaged or changed: not the sha256 that {own.name} names'
                raise ManifestError(f'{path}: {wrong}; copy or export it anew')
        return self.manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write a manifest; its ``files``, names of files beside it, become their checksums."""
        folder = self.prefix.parent
        hashes = {name: file_hash(folder / name) for name in manifest['files']}
        self.__dict__['manifest'] = dict(manifest, format=FORMAT, files=hashes)
        with written_aside(self.manifest_path) as aside:
            aside.write_text(json.dumps(self.manifest, indent=1, sort_keys=True) + '\n')

    def write_symbol(self, symbol: mx.sym.Symbol, part: str = WHOLE, kind: str = FLOAT) -> None:
        """Write a part's graph, aside and renamed."""
        # MXNet counts how often a graph with statistics was traced; a second time makes no other graph.
        text = re.sub(r'(\[\d+, \d+, )[1-9]\d*\]', r'\g<1>1]', symbol.tojson())
        with written_aside(self.symbol_path(part, kind)) as aside:
            aside.write_text(text + '\n')

    def write_weights(
        self, symbol: mx.sym.Symbol, arrays: Arrays, part: str = WHOLE, kind: str = FLOAT
    ) -> None:
        """Write those arrays that a part's graph needs."""
        save_arrays(self.weights_path(part, kind), graph_arrays(symbol, arrays))

    def load_graph(self, part: str = WHOLE, kind: str = FLOAT) -> Tuple[mx.sym.Symbol, Arrays, Arrays]:
        """A part's graph with its arguments and statistics; raises MXNet's own errors."""
        symbol = mx.sym.load(str(self.symbol_path(part, kind)))
        arrays = graph_arrays(symbol, mx.nd.load(str(self.weights_path(part, kind))))
        groups = (
            {name[4:]: array for name, array in arrays.items() if name.startswith(group)}
            for group in ('arg:', 'aux:')
        )
        return (symbol, *groups)


def graph_arrays(symbol: mx.sym.Symbol, arrays: Mapping[str, mx.nd.NDArray]) -> Arrays:
    """The arrays that a graph needs, out of all of a model's."""
    wanted = ['arg:' + name for name in symbol.list_arguments()]
    wanted += ['aux:' + name for name in symbol.list_auxiliary_states()]
    return {name: arrays[name] for name in wanted if name in arrays}


def save_arrays(path: PathLike, arrays: Mapping[str, mx.nd.NDArray]) -> None:
    """Write arrays as a ``.params`` file, aside and renamed; raises `UnifaceError` where that cannot be done."""
    with written_aside(path) as aside:
        try:
            mx.nd.save(str(aside), {name: arrays[name].as_in_context(mx.cpu()) for name in sorted(arrays)})
            # MXNet does not notice when the last block finds no room: the file must be read to be believed.
            if arrays and set(mx.nd.load(str(aside))) != set(arrays):
                raise ValueError('incomplete, is the disk full?')
        except (mx.MXNetError, OSError, ValueError) as error:
            raise UnifaceError(f'{path}: cannot be written ({last_line(error)})') from None


def load_arrays(path: PathLike) -> Arrays:
    """Read a ``.params`` file; raises `UnifaceError` where there is none or it is damaged."""
    path = Path(path)
    if not path.is_file():
        raise UnifaceError(f'{path}: no such file of weights')
    try:
        arrays = mx.nd.load(str(path))
    except (mx.MXNetError, ValueError) as error:
        raise UnifaceError(f'{path}: cannot be read as weights ({last_line(error)})') from None
    if not isinstance(arrays, dict):
        raise UnifaceError(f'{path}: holds arrays without names')
    return arrays


def stock_name(name: str) -> str:
    """A parameter's name in MXNet's files: ``arg:`` for arguments, ``aux:`` for running statistics."""
    return ('aux:' if name.endswith(('running_mean', 'running_var')) else 'arg:') + name


def named_arrays(net: HybridBlock) -> Arrays:
    """Parameters under MXNet's stock names: ``arg:`` for arguments, ``aux:`` for running statistics."""
    return {
        stock_name(name): parameter.data(parameter.list_ctx()[0])
        for name, parameter in net.collect_params().items()
    }


def load_weights(
    net: HybridBlock, path: PathLike, ctx: Union[None, mx.Context, Sequence[mx.Context]] = None
) -> None:
    """Fill an uninitialized or initialized block from a file of a run, the exporter or Gluon.

    Raises
    ------
    UnifaceError
        The file is damaged or was made for another model: a weight is missing, left over, of another shape,
        or the anchors differ.
    """
    arrays = load_arrays(path)
    net.infer_shape(mx.nd.zeros((1, 3, net.size, net.size)))
    parameters = net.collect_params()
    if any(name.startswith(('arg:', 'aux:')) for name in arrays):
        arrays = {name.split(':', 1)[1]: array for name, array in arrays.items()}
    else:
        structural = net._collect_params_with_prefix()
        arrays = {
            structural[name].name if name in structural else name: array for name, array in arrays.items()
        }
    missing, left = sorted(set(parameters) - set(arrays)), sorted(set(arrays) - set(parameters))
    if missing or left:
        lacking, more = (f'({", ".join(names[:3]) or "-"})' for names in (missing, left))
        raise UnifaceError(
            f'{path}: made for another model: {len(missing)} weights missing {lacking}, {len(left)} left over {more}'
        )
    for name, parameter in parameters.items():
        value = arrays[name]
        if isinstance(parameter, Constant):
            expected = np.asarray(parameter.value.asnumpy())
            if expected.shape != value.shape or np.abs(expected - value.asnumpy()).max() > 1e-4:
                raise UnifaceError(f'{path}: made for other {name} than the model has')
        elif parameter.shape != value.shape:
            raise UnifaceError(f'{path}: {name} has shape {value.shape}, the model wants {parameter.shape}')
    for name, parameter in parameters.items():
        if isinstance(parameter, Constant):
            parameter.initialize(ctx=ctx, force_reinit=True)
        else:
            parameter._load_init(arrays[name].astype(parameter.dtype), ctx)
