"""Run an exported graph with MXNet's Module API: no Gluon, and nothing of this package.

    python module_api.py PREFIX INPUT.npy... OUTPUT.npz

PREFIX-symbol.json and PREFIX-0000.params are loaded; an input is float32 (N, 3, 300, 300), RGB, 0..255. The outputs of
the first input are called ``detections0`` and ``embeddings0``, of the next ``detections1`` and ``embeddings1``.
"""

import sys

import mxnet as mx
import numpy as np


def main(prefix, *paths):
    *inputs, output = paths
    symbol, arguments, statistics = mx.model.load_checkpoint(prefix, 0)
    module = mx.mod.Module(symbol, data_names=['data'], label_names=None)
    results = {}
    for number, path in enumerate(inputs):
        data = mx.nd.array(np.load(path))
        module.bind(data_shapes=[('data', data.shape)], for_training=False, force_rebind=True)
        module.set_params(arguments, statistics)
        module.forward(mx.io.DataBatch([data]), is_train=False)
        for name, array in zip(symbol.list_outputs(), module.get_outputs()):
            results[name.replace('_output', str(number))] = array.asnumpy()
    np.savez(output, **results)


if __name__ == '__main__':
    main(*sys.argv[1:])
