"""The network as an OpenVINO graph, operation by operation.

OpenVINO could convert it by itself, but its converter traces the network for a second at each
start. It also reports each import and conversion to its makers; without the package that does so,
which it takes for optional, it does not.
"""

import functools
import sys
from typing import Any

import numpy as np

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

from hexlib.nn.model import PLANES, HexNet  # noqa: E402
from hexlib.nn.quantisation import Spans  # noqa: E402


@functools.cache
def core() -> openvino.Core:
    """The process's one entry to OpenVINO.

    Each has a stack for signals, which the next one remembers as that to go back to: of two that
    end in the order in which they began, a stack is left that is freed, and the next signal is the
    end of the process.
    """
    return openvino.Core()


def _constant(tensor) -> openvino.Node:
    return ops.constant(tensor.detach().float().numpy())


def _rounded(x: openvino.Node, low: Any, high: Any, levels: int) -> openvino.Node:
    """`x` rounded to `levels` steps from `low` to `high`; OpenVINO then computes with integers."""
    ends = [ops.constant(np.asarray(end, np.float32)) for end in (low, high)]
    return ops.fake_quantize(x, *ends, *ends, levels)


def _convolution(x: openvino.Node, conv: Any, spans: Spans) -> openvino.Node:
    """[B, C, H, W] → [B, C', H', W'], by an nn.Conv2d (which `folded` puts for a ConvNorm)."""
    weights = _constant(conv.weight)
    if conv in spans:
        low, high = spans[conv]
        if low < 0:  # signed bytes, with zero among the steps: the padding is zero
            high = max(-low, high)
            low = -high * 128 / 127
        x = _rounded(x, low, high, 256)
        most = conv.weight.detach().float().abs().amax((1, 2, 3), keepdim=True).numpy()
        weights = _rounded(weights, -most, most, 255)
    padding = [int(conv.padding[0])] * 2
    y = ops.convolution(x, weights, [1, 1], padding, padding, [1, 1])
    return ops.add(y, _constant(conv.bias.reshape(1, -1, 1, 1)))


def _linear(x: openvino.Node, linear: Any) -> openvino.Node:
    """[B, F] → [B, F']."""
    return ops.add(ops.matmul(x, _constant(linear.weight), False, True), _constant(linear.bias))


def _pooled(x: openvino.Node, board_size: int) -> openvino.Node:
    """[B, C, n, n] → [B, 2C], as `model.pooled`."""
    whole, none = [board_size, board_size], [0, 0]
    mean = ops.avg_pool(x, [1, 1], none, none, whole, True)
    maximum = ops.max_pool(x, [1, 1], [1, 1], none, none, whole).output(0)
    return ops.squeeze(ops.concat([mean, maximum], 1), np.array([2, 3]))


def _over_board(bias: openvino.Node) -> openvino.Node:
    """[B, C] → [B, C, 1, 1], to be added to every cell."""
    return ops.unsqueeze(bias, np.array([2, 3]))


def graph(folded: HexNet, batch: int, board_size: int, spans: Spans) -> openvino.Model:
    """`HexNet.forward` of a folded network for a fixed batch.

    Takes planes uint8 [batch, n+2, n+2, 2] as they lie in memory; gives policy logits [batch, A]
    and value logits [batch], float32. The convolutions in `spans` compute with eight-bit integers.
    """
    side = board_size + 2
    planes = ops.parameter([batch, side, side, PLANES], np.uint8, name="planes")
    x = ops.convert(ops.transpose(planes, np.array([0, 3, 1, 2])), np.float32)
    x = ops.relu(_convolution(x, folded.stem, spans))
    for block in folded.blocks:
        y = ops.relu(_convolution(x, block.first, spans))
        if block.pool is not None:
            y = ops.add(y, _over_board(_linear(_pooled(y, board_size), block.pool)))
        x = ops.relu(ops.add(x, _convolution(y, block.second, spans)))
    whole = _pooled(ops.relu(_convolution(x, folded.value_conv, spans)), board_size)
    bias = _over_board(_linear(whole, folded.policy_bias))
    policy = ops.relu(ops.add(_convolution(x, folded.policy_conv, spans), bias))
    logits = ops.reshape(
        _convolution(policy, folded.policy_out, spans), np.array([batch, board_size**2]), False
    )
    value = _linear(ops.relu(_linear(whole, folded.value_hidden)), folded.value_out)
    return openvino.Model([logits, ops.reshape(value, np.array([batch]), False)], [planes], "hex")
