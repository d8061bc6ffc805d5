"""The AlphaZero networks of the PyPI package hexgame-server, as players.

    python benchmarks/opponents/hexgame.py --board-size 7 --simulations 64

is an HTP engine; `--simulations 0` plays the move that its policy prefers, more search with our
search around its policy and value. The package ships a network each for 5×5, 7×7, 9×9 and 11×11 as
ONNX, which OpenVINO runs here, one position at a time, in float32.

What the networks see was read in the package's page that plays by them: planes of the stones of the
player to move and of the opponent, turned so that the player to move joins left and right: the
player who owns left and right sees the board as it is, the other one reflected in the antidiagonal.
"""

import argparse
import importlib.metadata
import importlib.util
import sys
from pathlib import Path

import numpy as np
import openvino

from hexlib.errors import BadInput
from hexlib.play.htp import Engine, serve
from hexlib.search.player import Thinker

NAME = "hexgame-server"
SIZES = (5, 7, 9, 11)


def network_file(board_size: int) -> Path:
    """The ONNX file for a board size; BadInput where there is none."""
    found = importlib.util.find_spec("hexgame_server")
    if found is None or found.origin is None:
        raise BadInput(f"{NAME} is not installed: pip install -r benchmarks/requirements.txt")
    name = f"alphazero_{board_size}x{board_size}.onnx"
    path = Path(found.origin).parent / "static" / "models" / name
    if not path.is_file():
        raise BadInput(f"{NAME} has no network for board size {board_size}; it has {SIZES}")
    return path


class HexgameNetwork:
    """A network of the package; is called as `search.interface.Evaluate` says."""

    def __init__(self, board_size: int):
        self.board_size = board_size
        self.evaluated = 0  # boards so far
        model = openvino.Core().compile_model(
            openvino.Core().read_model(network_file(board_size)),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": 1,
                "NUM_STREAMS": 1,
                "ENABLE_CPU_PINNING": False,
                "INFERENCE_PRECISION_HINT": "f32",
            },
        )
        self._request = model.create_infer_request()

    def __call__(self, boards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turned boards int8 [R, A] → policy logits float32 [R, A] and values float32 [R]."""
        n = self.board_size
        logits = np.empty((len(boards), n * n), np.float32)
        values = np.empty(len(boards), np.float32)
        for k, board in enumerate(boards.reshape(-1, n, n)):
            # Who moved first owns top and bottom and sees the board reflected; it is his turn where
            # there are as many stones of either colour.
            reflect = antidiagonal if (board == 1).sum() == (board == 2).sum() else np.transpose
            seen = reflect(board)
            planes = np.stack([seen == 1, seen == 2])[None].astype(np.float32)
            policy, value = self._request.infer({0: planes}).values()
            logits[k] = reflect(policy.reshape(n, n)).ravel()
            values[k] = value.item()
        self.evaluated += len(boards)
        return logits, values


def antidiagonal(board: np.ndarray) -> np.ndarray:
    """A board [n, n] reflected in the diagonal from the bottom left to the top right."""
    return board[::-1, ::-1].T


def main() -> None:
    """Serve HTP on standard input and output."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--board-size", type=int, choices=SIZES, default=7, metavar="N")
    parser.add_argument(
        "--simulations", type=int, default=0, metavar="N", help="0, the default: policy alone."
    )
    arguments = parser.parse_args()
    try:
        engine = Engine(
            Thinker(HexgameNetwork),
            arguments.board_size,
            arguments.simulations,
            name=NAME,
            version=importlib.metadata.version(NAME),
        )
    except BadInput as error:
        sys.exit(str(error))
    with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as answers:
        serve(engine, sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
