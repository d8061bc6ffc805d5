"""Network, checkpoints and inference."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from hexlib.errors import BadInput
from hexlib.files import sha256
from hexlib.nn.backends import empty_planes
from hexlib.nn.cache import CachedEvaluator
from hexlib.nn.checkpoint import Checkpoint, load, load_checkpoint, save_checkpoint
from hexlib.nn.device import Device, choose, processor_has_bfloat16
from hexlib.nn.inference import Evaluator, write_planes
from hexlib.nn.model import HexNet, random_network
from hexlib.nn.quantisation import differences, played_positions, spans_of
from hexlib.settings import Inference, Net

FLOAT = Device(torch.device("cpu"), torch.float32, "torch", "tests")


def small_network(seed=0) -> HexNet:
    """A network whose batch norms have statistics of their own."""
    network = random_network(Net(blocks=3, channels=16), seed)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) / 5)
            elif name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return network.eval()


def some_boards(n, count, seed=0):
    return np.random.default_rng(seed).integers(0, 3, (count, n * n)).astype(np.int8)


def planes_of(boards, n):
    """The input again, the slow way, float32 [B, 2, n+2, n+2]."""
    planes = np.zeros((len(boards), 2, n + 2, n + 2), np.float32)
    planes[:, 0, [0, -1], :] = 1  # top and bottom belong to the player to move
    planes[:, 1, :, [0, -1]] = 1
    grid = boards.reshape(-1, n, n)
    planes[:, 0, 1:-1, 1:-1] = grid == 1
    planes[:, 1, 1:-1, 1:-1] = grid == 2
    return torch.from_numpy(planes)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("n", [3, 7, 19])
def test_evaluator_is_the_network(n, backend):
    network, boards = small_network(), some_boards(n, 70)
    with torch.no_grad():
        policy, value = network(planes_of(boards, n))
    device = choose(Inference(device="cpu", precision="float32", backend=backend))
    logits, values = Evaluator(network, n, device)(boards)
    assert np.abs(logits - policy.numpy()).max() < 1e-4
    assert np.abs(values - (2 * torch.sigmoid(value) - 1).numpy()).max() < 1e-5


@pytest.mark.parametrize(
    ("precision", "backend"),
    [(p, b) for p in ("float32", "bfloat16") for b in ("torch", "openvino")] + [("int8", "auto")],
)
def test_what_is_said_of_a_board_does_not_depend_on_the_others(precision, backend):
    n, boards = 7, some_boards(7, 300)
    device = choose(Inference(device="cpu", precision=precision, backend=backend))
    evaluator = Evaluator(small_network(), n, device)
    logits, values = evaluator(boards)
    order = np.random.default_rng(1).permutation(300)
    for part in (order, order[:1], order[:37], order[200:]):
        again = evaluator(boards[part])
        assert np.array_equal(again[0], logits[part])
        assert np.array_equal(again[1], values[part])


def test_eight_bits_say_nearly_the_same():
    network, boards = random_network(Net(blocks=3, channels=16), 0).eval(), some_boards(7, 300)
    evaluators = [
        Evaluator(network, 7, choose(Inference(device="cpu", precision=precision)))
        for precision in ("auto", "int8")
    ]
    assert evaluators[1].device.inference == "cpu int8 openvino"
    (logits, values), (rounded, rounded_values) = (evaluator(boards) for evaluator in evaluators)
    assert not np.array_equal(logits, rounded), "they are computed otherwise"
    # Processors without VNNI lose more, as their sums of two products saturate at 16 bits.
    most = 0.05 if processor_has_bfloat16() else 0.1  # those that have that have VNNI too
    assert (logits - rounded).std() < most * logits.std()
    assert np.abs(values - rounded_values).max() < 0.02


def test_eight_bits_that_say_something_else_are_not_used(monkeypatch):
    network, boards = small_network(), some_boards(7, 300)
    network.blocks[1].second.conv.weight.data[0, 0, 0, 0] = 3000  # the rest of its channel is lost
    network.policy_out.weight.data *= 100  # a random policy hardly differs from another
    plain, checked = (
        Evaluator(network, 7, choose(Inference(device="cpu", precision=precision)))
        for precision in ("auto", "int8")
    )
    assert checked.device.inference == plain.device.inference
    assert "so they are not used" in str(checked.device)
    for said, again in zip(plain(boards), checked(boards), strict=True):
        assert np.array_equal(said, again)


def test_without_openvino_eight_bits_are_not_used():
    """The default settings ask for them, on a machine with a GPU too."""
    asked, auto = (
        choose(Inference(device="cpu", precision=precision, backend="torch"))
        for precision in ("int8", "auto")
    )
    assert asked.inference == auto.inference
    assert "eight-bit integers need OpenVINO on a CPU" in str(asked)


def test_the_ranges_are_those_of_what_enters_a_convolution():
    folded = small_network().folded()
    planes = planes_of(some_boards(7, 40), 7)
    spans = spans_of(folded, planes.permute(0, 2, 3, 1).to(torch.uint8).numpy())
    assert len(spans) == 2 + 2 * 3
    with torch.inference_mode():
        first = torch.relu(folded.stem(planes))
    assert spans[folded.blocks[0].first] == (0, float(first.max()))
    assert spans[folded.blocks[1].second][0] < 0, "what is pooled is added after the ReLU"


def test_played_positions_are_those_of_games():
    """The player to move has as many stones as the opponent: four plies lie between positions."""
    evaluator = Evaluator(small_network(), 5, FLOAT)
    played = played_positions(evaluator.backend, evaluator.backend.batch, 5)
    inside = played[:, 1:-1, 1:-1].astype(int).reshape(evaluator.backend.batch, -1, 25, 2)
    assert inside.sum(3).max() == 1
    counts = inside.sum(2)
    assert (counts == 2 * np.arange(1, counts.shape[1] + 1)[:, None]).all()
    assert (np.diff(inside, axis=1) >= 0).all(), "stones stay"
    assert (played[:, [0, -1], 1:-1, 0] == 1).all()


def test_differences_of_answers():
    planes = empty_planes(2, 1)
    same = np.log(np.full((2, 1), 0.5)), np.zeros(2)
    assert differences(same, same, planes) == (0, 0)
    planes = empty_planes(1, 2)
    even = np.zeros((1, 4)), np.zeros(1)
    other = np.log([[0.7, 0.1, 0.1, 0.1]]), np.log([3.0])  # a chance of three quarters
    divergence, difference = differences(even, other, planes)
    assert divergence == pytest.approx(0.25 * np.log(0.25**4 / 0.7 / 0.1**3))
    assert difference == pytest.approx(0.5)


@pytest.mark.parametrize("size", [0, 1, 50, 5000])
def test_a_cache_changes_no_answer(size):
    n, boards = 5, some_boards(5, 200)
    boards = np.concatenate([boards, boards[::3], boards[::5, ::-1], np.zeros((2, 25), np.int8)])
    evaluator = CachedEvaluator(Evaluator(small_network(), n, FLOAT), size)
    answers = [evaluator(boards[start : start + 40]) for start in range(0, len(boards), 40)]
    logits, values = (np.concatenate(parts) for parts in zip(*answers, strict=True))
    # The network itself differs between a board and its turn: one of the two answers is given.
    known = np.zeros(len(boards), bool)
    for turn in (False, True):
        plain, plain_values = Evaluator(small_network(), n, FLOAT)(
            np.ascontiguousarray(boards[:, ::-1]) if turn else boards
        )
        same = (logits == (plain[:, ::-1] if turn else plain)).all(1) & (values == plain_values)
        known |= same
    assert known.all()
    for row in range(0, 200, 5):  # a board and its turn have one answer
        again = 200 + 67 + row // 5
        assert np.array_equal(logits[row], logits[again, ::-1])
        assert values[row] == values[again]
    assert evaluator.asked == len(boards)
    assert (evaluator.hit_rate > 0.3) == (size == 5000)
    if size == 0:
        assert evaluator.hit_rate == 0


def test_planes_leave_the_ring_alone():
    n, boards = 5, some_boards(5, 9)
    planes = empty_planes(9, n)
    write_planes(boards, n, planes)
    assert torch.equal(torch.from_numpy(planes).permute(0, 3, 1, 2).float(), planes_of(boards, n))


def test_folding_changes_nothing():
    network = small_network()
    planes = planes_of(some_boards(9, 20), 9)
    with torch.no_grad():
        for ours, theirs in zip(network.folded()(planes), network(planes), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-4)


def test_checkpoint_round_trip_is_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.pt", tmp_path / "other name.pt"
    save_checkpoint(first, Checkpoint(small_network(), [5, 7], {"seed": 3}))
    loaded = load_checkpoint(first)
    assert loaded.board_sizes == [5, 7]
    assert loaded.lineage == {"seed": 3}
    save_checkpoint(second, loaded)
    assert sha256(first) == sha256(second)


def test_random_network_depends_on_the_seed_alone():
    torch.manual_seed(5)
    one = random_network(Net(), 1).state_dict()
    torch.rand(3)
    assert all(torch.equal(one[k], v) for k, v in random_network(Net(), 1).state_dict().items())
    other = random_network(Net(), 2).state_dict()
    assert not torch.equal(one["stem.conv.weight"], other["stem.conv.weight"])


class Malicious:
    def __reduce__(self):
        return (print, ("this ran",))


def test_half_of_the_bytes_say_nearly_the_same(tmp_path):
    boards, said, sizes = some_boards(7, 100), [], []
    for half in (False, True):
        path = tmp_path / f"{half}.pt"
        save_checkpoint(path, Checkpoint(small_network(), [7], {}), half)
        said.append(Evaluator(load_checkpoint(path).network, 7, FLOAT)(boards))
        sizes.append(path.stat().st_size)
    assert sizes[1] < 0.8 * sizes[0]
    for whole, half in zip(*said, strict=True):
        assert not np.array_equal(whole, half)
        assert np.abs(whole - half).max() < 0.01


def test_what_is_no_checkpoint_is_refused(tmp_path, capsys):
    path = tmp_path / "c.pt"
    whole = tmp_path / "whole.pt"
    save_checkpoint(whole, Checkpoint(small_network(), [5], {}))
    contents = {
        "empty": b"",
        "text": b"not a checkpoint\n",
        "torn": whole.read_bytes()[:-2000],
        "pickle": pickle.dumps(Malicious()),
    }
    for content in contents.values():
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"c\.pt: not a checkpoint"):
            load_checkpoint(path)
    torch.save({"kind": "checkpoint", "schema": 1, "net": Malicious()}, path)
    with pytest.raises(BadInput, match="more than tensors"):
        load_checkpoint(path)
    spoilt = small_network()
    spoilt.value_out.bias.data[0] = torch.nan
    save_checkpoint(path, Checkpoint(spoilt, [5], {}))
    with pytest.raises(BadInput, match="not all finite"):
        load_checkpoint(path)
    with pytest.raises(BadInput, match="no such"):
        load_checkpoint(tmp_path / "absent.pt")
    with pytest.raises(BadInput, match="not a training state"):
        load(whole, "training state")
    assert "this ran" not in capsys.readouterr().out


def test_no_backend_calls_anyone():
    """OpenVINO comes with a package that reports each use from a process of its own."""
    script = """
import sys
calls = []
watched = ("socket.connect", "socket.getaddrinfo", "os.fork", "os.posix_spawn", "subprocess.Popen")
sys.addaudithook(lambda event, _: calls.append(event) if event in watched else None)
import numpy as np
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.nn.model import random_network
from hexlib.settings import Inference, Net
calls.clear()  # what the libraries asked of the system when they were imported
for backend in ("torch", "openvino"):
    device = choose(Inference(device="cpu", backend=backend))
    Evaluator(random_network(Net(), 0), 5, device)(np.zeros((3, 25), np.int8))
print(calls, sys.modules["openvino_telemetry"])
"""
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "[] None", done.stdout + done.stderr


def test_a_gpu_that_is_not_there_is_told():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(BadInput, match="sees no GPU"):
        choose(Inference(device="cuda"))


def test_the_choice_is_told_with_its_reason(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    chosen = choose(Inference())
    assert chosen.backend == "openvino"
    for part in ("there is no GPU", "bfloat16 is", "OpenVINO is installed"):
        assert part in str(chosen)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    chosen = choose(Inference(precision="float32"))
    assert chosen.inference == "cpu float32 torch"
    assert "OpenVINO is not installed" in str(chosen)
    with pytest.raises(BadInput, match="must be installed"):
        choose(Inference(backend="openvino"))
