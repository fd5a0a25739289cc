"""The canvas stream as MXNet knows data: NDArrays, a Gluon dataset, and a DataIter for Module."""

from __future__ import annotations

from typing import Optional, Tuple

import mxnet as mx
import numpy as np

from uniface_mx.data.loader import Canvases, Loader
from uniface_mx.data.rows import OBJECT_WIDTH


def network_input(data: np.ndarray, ctx: Optional[mx.Context] = None) -> mx.nd.NDArray:
    """Canvases (N, S, S, 3) uint8 RGB as the network takes them, (N, 3, S, S) float32, 0..255.

    To a GPU the pixels travel as bytes, a quarter of the traffic, and become float32 there.
    """
    ctx = ctx or mx.current_context()
    if ctx.device_type == 'cpu':
        return mx.nd.array(data.transpose(0, 3, 1, 2), ctx=ctx, dtype=np.float32)
    # Cast first: MXNet transposes bytes seven times more slowly than floats.
    return mx.nd.array(data, ctx=ctx, dtype=np.uint8).astype(np.float32).transpose((0, 3, 1, 2))


class CanvasDataset(mx.gluon.data.Dataset):
    """Canvases as a Gluon dataset: item i is canvas number i, whoever asks.

    Parameters
    ----------
    canvases : Canvases
    max_faces : int
        Label rows.
    first : int
        Canvases to pass over: a whole number of passes gives each epoch pictures of its own.
    """

    def __init__(self, canvases: Canvases, max_faces: int = 32, first: int = 0) -> None:
        self._canvases, self._max_faces, self._first = canvases, max_faces, first

    def __len__(self) -> int:
        return len(self._canvases)

    def __getitem__(self, index: int) -> Tuple[np.ndarray, np.ndarray]:
        """(S, S, 3) uint8 RGB and (G, 146) float32."""
        if not 0 <= index < len(self):
            raise IndexError(f'{len(self)} canvases, no number {index}')
        batch = self._canvases.batch([self._first + index], self._max_faces, 1)
        return batch.data[0], batch.label[0]


class CanvasIter(mx.io.DataIter):
    """The loader's stream as a DataIter: data (N, 3, S, S) float32, label (N, G, 146) float32.

    Parameters
    ----------
    loader : Loader
    epoch_size : int or None
        Batches until StopIteration; `reset` goes on with the next ones. None: a pass over the records.
    data_name, label_name : str
    """

    def __init__(
        self,
        loader: Loader,
        epoch_size: Optional[int] = None,
        data_name: str = 'data',
        label_name: str = 'label',
    ) -> None:
        super().__init__(loader.batch_size)
        count, size = self.batch_size, loader.canvases.size
        rows = (count, loader.max_faces, OBJECT_WIDTH)
        self.provide_data = [mx.io.DataDesc(data_name, (count, 3, size, size), np.float32)]
        self.provide_label = [mx.io.DataDesc(label_name, rows, np.float32)]
        self.loader = loader
        self._epoch_size = len(loader) if epoch_size is None else epoch_size
        self._stream = iter(loader)
        self._done = 0

    def reset(self) -> None:
        """Begin the next epoch; of unshuffled canvases, the same one again."""
        self._done = 0
        if self.loader.canvases.seed is None:
            self._stream.close()
            self.loader.position = 0
            self._stream = iter(self.loader)

    def next(self) -> mx.io.DataBatch:
        """The next batch; its `pad` counts the empty canvases at its end."""
        if self._done >= self._epoch_size:
            raise StopIteration
        batch = next(self._stream)
        self._done += 1
        return mx.io.DataBatch(
            [network_input(batch.data)],
            [mx.nd.array(batch.label, dtype=np.float32)],
            pad=self.batch_size - batch.count,
            index=None,
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )
