"""A board and its 180° turn are the same to a symmetric network, before and after it learns."""

import numpy as np
import pytest
import torch
from synthetic import make_buckets

from hexlib.game.positions import read_positions
from hexlib.nn.batches import make_batch
from hexlib.nn.checkpoint import Checkpoint, load, load_checkpoint, save, save_checkpoint
from hexlib.nn.device import Device
from hexlib.nn.equivariance import Tie, turned
from hexlib.nn.learning import Trainer, losses
from hexlib.nn.model import random_network, ring
from hexlib.settings import Net, Train

CPU = torch.device("cpu")
FLOAT = Device(CPU, torch.float32, "torch", "tests")
NET = Net(blocks=2, channels=8)  # the second block pools
HEADS = Train(soft_policy_weight=1, reply_weight=1)


@pytest.fixture(scope="module")
def positions(tmp_path_factory):
    return read_positions(
        make_buckets(tmp_path_factory.mktemp("source"), replies=True) / "bucket_0000.npz"
    )


def batch_of(positions, rows, turn=False):
    return make_batch(positions.take(rows), np.full(len(rows), turn), CPU)


def boards(n):
    """Planes float32 [20, 2, n+2, n+2] of random stones."""
    planes = torch.from_numpy(np.tile(ring(n), (20, 1, 1, 1))).permute(0, 3, 1, 2).contiguous()
    stones = np.random.default_rng(n).integers(0, 3, (20, n, n))
    for plane in range(2):
        planes[:, plane, 1:-1, 1:-1] = torch.from_numpy(stones == plane + 1)
    return planes


def farthest(network, n):
    """How far the answers of a board and of its turn are from each other, at most."""
    with torch.no_grad():
        policy, value = network.eval()(boards(n))
        turned_policy, turned_value = network(boards(n).flip(2, 3))
    return max((policy - turned_policy.flip(1)).abs().max(), (value - turned_value).abs().max())


def trained(positions, symmetric):
    network = random_network(NET.model_copy(update={"symmetric": symmetric}), 0)
    trainer = Trainer(network, HEADS, FLOAT)
    for step in range(0, 160, 8):
        trainer.step(batch_of(positions, np.arange(step, step + 8)), 1e-2)
    return trainer


@pytest.mark.parametrize("n", [3, 7, 8])
def test_random_networks_see_no_difference(n):
    assert farthest(random_network(NET, 1), n) < 1e-6
    assert farthest(random_network(NET.model_copy(update={"symmetric": False}), 1), n) > 1e-3


def test_nor_do_those_that_have_learned(positions):
    trainer = trained(positions, symmetric=True)
    start = random_network(NET, 0).policy_out.weight
    assert (trainer.learner.network.policy_out.weight - start).abs().max() > 0.01
    for network in (trainer.learner.network, trainer.average):
        assert farthest(network, 5) < 1e-4
    assert farthest(trained(positions, symmetric=False).average, 5) > 0.01


def test_a_gradient_is_that_of_the_batch_and_of_its_turn(positions):
    rows = np.arange(40)
    learner = Trainer(random_network(NET, 0), HEADS, FLOAT).learner.eval()  # no batch's statistics
    parameters = dict(learner.network.named_parameters())
    parameters |= dict(learner.auxiliary.named_parameters())
    gradients = []
    for batches in ([False], [False, True]):
        learner.zero_grad()
        for turn in batches:
            batch = batch_of(positions, rows, turn)
            figures = losses(learner(batch.planes), batch, HEADS)
            (figures["loss"] / len(batches)).backward()
        gradients.append([p.grad.clone() for p in parameters.values()])
    once, both = gradients
    assert max((a - b).abs().max() for a, b in zip(once, both, strict=True)) > 1e-3
    Tie(parameters.items()).average(once)
    for name, ours, wanted in zip(parameters, once, both, strict=True):
        assert torch.allclose(ours, wanted, atol=1e-6), name


def test_turned_twice_is_as_before():
    for name, tensor in random_network(NET, 0).state_dict().items():
        assert torch.equal(turned(name, turned(name, tensor)), tensor)


def test_a_network_of_before_is_not_symmetric(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, Checkpoint(random_network(NET, 0), [5]))
    assert load_checkpoint(path).network.settings.symmetric
    content = load(path, "checkpoint")
    del content["net"]["symmetric"]
    save(path, "checkpoint", content)
    assert not load_checkpoint(path).network.settings.symmetric
