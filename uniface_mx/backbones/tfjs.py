"""Keras' Inception-v3 in TensorFlow.js files: a folder, or an npm package such as nsfwjs that has them as JavaScript.

Keras numbers its layers in the order in which they were made, which says nothing about where they stand. So
the graph is followed backwards from its output, and must be, layer by layer, the trunk's own.
"""

from __future__ import annotations

import base64
import json
import re
import tarfile
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Dict, List, Match, NamedTuple, Sequence, Tuple

import numpy as np

from uniface_mx.backbones.source import BLOCKS, TENSORS, Dense, Source, unit_name
from uniface_mx.errors import UnifaceError
from uniface_mx.nn.conv import BATCH_NORM_EPSILON
from uniface_mx.nn.inception import AVERAGE_POOL, MAX_POOL, SAME, STEM, Step, Unit

POOLS = {
    AVERAGE_POOL: ('AveragePooling2D', dict(pool_size=[3, 3], strides=[1, 1], padding='same')),
    MAX_POOL: ('MaxPooling2D', dict(pool_size=[3, 3], strides=[2, 2], padding='valid')),
}
KERAS_TENSORS = ('kernel', 'gamma', 'beta', 'moving_mean', 'moving_variance')
NSFWJS_SIZES = (256, 128, 5)
NSFWJS_LABELS = ('Drawing', 'Hentai', 'Neutral', 'Porn', 'Sexy')
MODEL_FILES = ('model.json', 'model.min.js')
SHARD_ENDINGS = ('', '.bin', '.min.js')
MAX_FILE = 1 << 28
# A string as it is; a key, true, false or a fraction as JavaScript's minifiers shorten them.
SHORTENED = re.compile(r'("(?:[^"\\]|\\.)*")|([A-Za-z_$][\w$]*)(?=:)|(![01])|(?<!\d)(\.\d)')
BYTES = re.compile(rb'exports="([A-Za-z0-9+/=]*)"')

# What a damaged file makes its readers raise, JSON's, base64's and UTF-8's errors being values' errors.
DAMAGED = (ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, tarfile.TarError)

Files = Dict[str, Callable[[], bytes]]


class TfjsModel(NamedTuple):
    """Layers of a Keras model as its file describes them, its output's name, and its weights."""

    layers: Dict[str, dict]
    output: str
    tensors: Dict[str, np.ndarray]


def _folder(path: Path) -> Files:
    models = [path] if path.name in MODEL_FILES else chain(*map(path.rglob, MODEL_FILES))
    files = (file for model in models for file in model.parent.iterdir() if file.is_file())
    return {file.as_posix(): file.read_bytes for file in files}


def _package(archive: tarfile.TarFile) -> Files:
    members = (member for member in archive if member.isfile() and member.size <= MAX_FILE)
    return {member.name: lambda member=member: archive.extractfile(member).read() for member in members}


def _parse_model(name: str, content: bytes) -> dict:
    text = content.decode()
    if not name.endswith('.js'):
        return json.loads(text)

    def lengthened(match: Match[str]) -> str:
        string, key, boolean, fraction = match.groups()
        if key:
            return f'"{key}"'
        if boolean:
            return 'true' if boolean == '!0' else 'false'
        return string or '0' + fraction

    start = text.index('exports={modelTopology') + len('exports=')
    return json.JSONDecoder().raw_decode(SHORTENED.sub(lengthened, text[start:]))[0]


def _parse_shard(name: str, content: bytes) -> bytes:
    script = name.endswith('.js')
    return base64.b64decode(BYTES.search(content).group(1), validate=True) if script else content


def _split(content: bytes, entries: Sequence[dict]) -> Dict[str, np.ndarray]:
    tensors, start = {}, 0
    for entry in entries:
        quantization = entry.get('quantization', {})
        stored = np.dtype(quantization.get('dtype', entry['dtype'])).newbyteorder('<')
        count = int(np.prod(entry['shape'], dtype=np.int64))
        values = np.frombuffer(content, stored, count, start).reshape(entry['shape'])
        start += count * stored.itemsize
        if 'scale' in quantization:
            values = values * float(quantization['scale']) + float(quantization['min'])
        tensors[entry['name']] = values.astype(np.float32)
    if start != len(content):
        raise UnifaceError(f'its weights take {start} bytes, its files have {len(content)}')
    return tensors


def _read(files: Files) -> TfjsModel:
    models = [name for name in files if PurePosixPath(name).name in MODEL_FILES]
    chosen = [name for name in models if PurePosixPath(name).parent.name == 'inception_v3'] or models
    if len(chosen) != 1:
        names = ' or '.join(MODEL_FILES)
        raise UnifaceError(f'{len(chosen)} files {names} in it; name the folder of one model')
    content = _parse_model(chosen[0], files[chosen[0]]())
    folder = PurePosixPath(chosen[0]).parent
    tensors = {}
    for group in content['weightsManifest']:
        shards = []
        for shard in group['paths']:
            names = [str(folder / (shard + ending)) for ending in SHARD_ENDINGS]
            present = [name for name in names if name in files]
            if not present:
                raise UnifaceError(f'{names[0]} is missing')
            shards.append(_parse_shard(present[0], files[present[0]]()))
        tensors.update(_split(b''.join(shards), group['weights']))
    config = content['modelTopology']['model_config']['config']
    layers = {layer['name']: layer for layer in config['layers']}
    return TfjsModel(layers, config['output_layers'][0][0], tensors)


def is_tfjs(path: Path) -> bool:
    """Whether a path is a folder, a model file or an npm package."""
    return path.is_dir() or path.name in MODEL_FILES or path.name.endswith('.tgz')


def read_tfjs_model(path: Path) -> TfjsModel:
    """Read a Keras model that was converted to TensorFlow.js.

    Parameters
    ----------
    path : Path
        A folder with ``model.json`` and its shards somewhere in it, that file itself, or a ``.tgz`` that
        ``npm pack`` brought. The files may be JavaScript (``model.min.js``, shards in base64); nothing of it
        is run. Of several models, the one in a folder ``inception_v3`` is taken.

    Returns
    -------
    TfjsModel
        Weights dequantized, float32, in Keras' layouts and under its names.

    Raises
    ------
    UnifaceError
        There is no such model, or more than one, or it is damaged.
    """
    try:
        if path.name.endswith('.tgz'):
            with tarfile.open(str(path)) as archive:
                return _read(_package(archive))
        return _read(_folder(path))
    except UnifaceError as error:
        raise UnifaceError(f'{path}: {error}') from None
    except OSError as error:
        raise UnifaceError(f'{path}: {error.strerror or error}') from None
    except DAMAGED as error:
        reason = f'is no Keras model in TensorFlow.js files, or damaged ({error!r})'
        raise UnifaceError(f'{path}: {reason}') from None


class Walk:
    """Follows a Keras model from its output to its input and notes which layer is which unit of the trunk.

    Parameters
    ----------
    layers : dict
        The model's layers by name, as its file describes them.

    Attributes
    ----------
    units : dict
        Names of the convolution and the batch norm of each of the trunk's units.
    """

    def __init__(self, layers: Dict[str, dict]) -> None:
        self._layers = layers
        self.units: Dict[str, Tuple[str, str]] = {}

    def inputs(self, name: str) -> List[str]:
        """Names of the layers that a layer takes."""
        nodes = self._layers[name]['inbound_nodes']
        if len(nodes) > 1:
            raise UnifaceError(f'layer {name} is used more than once')
        return [node[0] for node in nodes[0]] if nodes else []

    def expect(self, name: str, class_name: str, count: int = 1, **config: Any) -> List[str]:
        """Inputs of a layer that must be of a class, take `count` inputs, and have these settings."""
        layer, inputs = self._layers[name], self.inputs(name)
        wrong = [key for key, value in config.items() if layer['config'].get(key) != value]
        if layer['class_name'] != class_name or len(inputs) != count or wrong:
            detail = f' of {count} inputs' if count != 1 else ''
            detail += ''.join(f' with {key} {config[key]}' for key in wrong)
            raise UnifaceError(
                f'layer {name} is a {layer["class_name"]}, but an Inception-v3 has a {class_name}{detail} there'
            )
        return inputs

    def unit(self, end: str, name: str, unit: Unit) -> str:
        """Follow a convolution unit back to its input."""
        kernel = list(unit.kernel) if isinstance(unit.kernel, tuple) else [unit.kernel] * 2
        settings = dict(kernel_size=kernel, strides=[unit.stride] * 2, dilation_rate=[1, 1])
        settings.update(use_bias=False, activation='linear')
        if kernel != [1, 1]:
            settings['padding'] = 'same' if unit.padding == SAME else 'valid'
        (norm,) = self.expect(end, 'Activation', activation='relu')
        (convolution,) = self.expect(norm, 'BatchNormalization')
        if not np.isclose(self._layers[norm]['config']['epsilon'], BATCH_NORM_EPSILON):
            raise UnifaceError(f'layer {norm} has another epsilon than {BATCH_NORM_EPSILON}')
        (start,) = self.expect(convolution, 'Conv2D', **settings)
        self.units[name] = (convolution, norm)
        return start

    def steps(self, end: str, steps: Sequence[Tuple[str, Step]]) -> str:
        """Follow named steps, last one first, back to where they begin."""
        for name, step in reversed(steps):
            if isinstance(step, str):
                class_name, config = POOLS[step]
                (end,) = self.expect(end, class_name, **config)
            elif isinstance(step, Unit):
                end = self.unit(end, name, step)
            else:
                end = self.meet(end, [[(name + letter, unit)] for letter, unit in zip('ab', step)])
        return end

    def meet(self, end: str, branches: Sequence[Sequence[Tuple[str, Step]]]) -> str:
        """Follow the branches of a concatenation, in its order, back to the layer where all must begin."""
        inputs = self.expect(end, 'Concatenate', len(branches))
        starts = {self.steps(name, branch) for name, branch in zip(inputs, branches)}
        if len(starts) != 1:
            raise UnifaceError(f'the branches of layer {end} begin at different layers')
        return starts.pop()

    def trunk(self, end: str) -> None:
        """Follow the whole trunk from its last concatenation to the input."""
        for block, branches in reversed(BLOCKS):
            named = [
                [(unit_name(block, branch, number), step) for number, step in enumerate(steps)]
                for branch, *steps in branches
            ]
            end = self.meet(end, named)
        self.expect(self.steps(end, STEM), 'InputLayer', 0)

    def classifier(self, end: str) -> Tuple[Tuple[Dense, ...], str]:
        """Dense layers from the model's output back to the trunk's last layer, and that layer's name."""
        found: List[Dense] = []
        while self._layers[end]['class_name'] != 'Concatenate':
            layer, inputs = self._layers[end], self.inputs(end)
            if len(inputs) != 1:
                number = f'layer {end} has {len(inputs)} inputs'
                raise UnifaceError(f'no Inception-v3 leads to the output: {number}')
            if layer['class_name'] == 'Dense':
                found.insert(0, Dense(end + '/kernel', end + '/bias', layer['config']['activation']))
            (end,) = inputs
        return tuple(found), end


def read_tfjs(path: str) -> Source:
    """Read a Keras Inception-v3 from TensorFlow.js files.

    Its average pooling leaves padding out. Keras scales pixels as x / 127.5 - 1; nsfwjs, known by its
    classifier, as x / 255. A batch norm without gamma has none here either.
    """
    model = read_tfjs_model(Path(path))
    walk = Walk(model.layers)
    try:
        classifier, end = walk.classifier(model.output)
        walk.trunk(end)
    except UnifaceError as error:
        raise UnifaceError(f'{path}: {error}') from None
    except (KeyError, IndexError, TypeError) as error:
        raise UnifaceError(f'{path}: its graph is damaged ({error!r})') from None
    names = {}
    for unit, (convolution, norm) in walk.units.items():
        for tensor, theirs in zip(TENSORS, KERAS_TENSORS):
            if theirs != 'gamma' or model.layers[norm]['config'].get('scale'):
                layer = convolution if theirs == 'kernel' else norm
                names[f'{unit}_{tensor}'] = f'{layer}/{theirs}'
    # From Keras' axes to MXNet's.
    axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    tensors = {name: array.transpose(axes[array.ndim]) for name, array in model.tensors.items()}
    sizes = tuple(tensors[layer.bias].shape[0] for layer in classifier if layer.bias in tensors)
    scaling, labels = ('unit', NSFWJS_LABELS) if sizes == NSFWJS_SIZES else ('symmetric', ())
    return Source('tfjs', tensors, names, classifier, scaling, False, labels)
