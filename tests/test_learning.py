"""How a network learns: the losses are their formulas, and processes together are as one."""

import copy
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import make_buckets

from hexlib.files import sha256
from hexlib.game.positions import read_positions
from hexlib.nn.batches import make_batch
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.device import Device
from hexlib.nn.learning import BINS, SOFTENED, Learner, Trainer, losses
from hexlib.nn.model import random_network
from hexlib.settings import Net, Train

CPU = torch.device("cpu")
FLOAT = Device(CPU, torch.float32, "torch", "tests")
SMALL = Net(blocks=2, channels=8)


@pytest.fixture(scope="module")
def positions(tmp_path_factory):
    return read_positions(
        make_buckets(tmp_path_factory.mktemp("source"), replies=True) / "bucket_0000.npz"
    )


def batch_of(positions, rows):
    return make_batch(positions.take(rows), np.zeros(len(rows), bool), CPU)


def test_a_position_without_a_policy_does_not_train_the_policy(positions):
    """The old fault: the policy target of a finished board was 'play a1'."""
    learner = Learner(random_network(SMALL, 0), Train(soft_policy_weight=1))
    finished = np.flatnonzero(positions.policy_count == 0)
    assert len(finished) > 5
    batch = batch_of(positions, finished)
    figures = losses(learner(batch.planes), batch, Train(soft_policy_weight=1))
    assert figures["policy_loss"] == figures["soft_policy_loss"] == 0
    assert figures["value_loss"] > 0
    figures["loss"].backward()
    assert learner.network.policy_out.weight.grad.abs().max() == 0


def test_losses_are_the_formulas(positions):
    weights = {"policy_weight": 0.5, "value_weight": 2, "soft_policy_weight": 3, "reply_weight": 4}
    settings = Train(value_mix=0.25, **weights)
    learner = Learner(random_network(SMALL, 0), settings).eval()
    weight = np.random.default_rng(0).uniform(0, 2, 50).astype(np.float32)
    batch = batch_of(positions, np.arange(50))._replace(weight=torch.from_numpy(weight))
    outputs = learner(batch.planes)
    figures = losses(outputs, batch, settings)
    policy, value, soft, reply = (
        t.detach().numpy().astype(float)
        for t in (outputs.policy, outputs.value, *outputs.auxiliary.values())
    )
    rows = {"policy": [], "soft": [], "reply": [], "value": [], "has": [], "told": []}
    for k in range(50):
        free = ~batch.occupied[k].numpy()
        target = batch.policy[k].numpy().astype(float)

        def entropy(logits, wanted, free=free):
            log_sum = np.log(np.exp(logits[free]).sum())
            return -(wanted[free] * (logits[free] - log_sum)).sum()

        rows["has"].append(target.sum() > 0)
        rows["policy"].append(entropy(policy[k], target))
        softened = np.where(target > 0, target**SOFTENED, 0)
        rows["soft"].append(entropy(soft[k], softened / max(softened.sum(), 1e-9)))
        answer = batch.reply[k].item()
        rows["told"].append(answer >= 0)
        rows["reply"].append(entropy(reply[k], np.arange(len(free)) == answer))
        outcome = (batch.value[k].item() + 1) / 2
        searched = (batch.root_value[k].item() + 1) / 2
        wanted = outcome if np.isnan(searched) else 0.75 * outcome + 0.25 * searched
        chance = 1 / (1 + np.exp(-value[k]))
        rows["value"].append(-(wanted * np.log(chance) + (1 - wanted) * np.log(1 - chance)))
    has = weight * np.array(rows["has"])
    policy_loss = np.average(rows["policy"], weights=has)
    soft_loss = np.average(rows["soft"], weights=has)
    reply_loss = np.average(rows["reply"], weights=weight * np.array(rows["told"]))
    value_loss = np.average(rows["value"], weights=weight)
    assert figures["policy_loss"].item() == pytest.approx(policy_loss, rel=1e-4)
    assert figures["soft_policy_loss"].item() == pytest.approx(soft_loss, rel=1e-4)
    assert figures["reply_loss"].item() == pytest.approx(reply_loss, rel=1e-4)
    assert figures["value_loss"].item() == pytest.approx(value_loss, rel=1e-4)
    total = 0.5 * policy_loss + 2 * value_loss + 3 * soft_loss + 4 * reply_loss
    assert figures["loss"].item() == pytest.approx(total, rel=1e-4)


def test_auxiliary_heads_cost_the_exported_network_nothing():
    plain = random_network(SMALL, 0)
    trainer = Trainer(random_network(SMALL, 0), Train(soft_policy_weight=1), FLOAT)
    assert trainer.average.state_dict().keys() == plain.state_dict().keys()
    assert trainer.state()["auxiliary"].keys()
    assert not Trainer(plain, Train(), FLOAT).state()["auxiliary"].keys()


def test_a_state_of_other_heads_does_not_fit():
    with_head = Trainer(random_network(SMALL, 0), Train(soft_policy_weight=1), FLOAT)
    without = Trainer(random_network(SMALL, 0), Train(), FLOAT)
    larger = Trainer(random_network(Net(blocks=2, channels=16), 0), Train(), FLOAT)
    assert without.fits(without.state())
    assert not without.fits(with_head.state())
    assert not with_head.fits(without.state())
    assert not without.fits(larger.state())


def test_the_moving_average_leaves_the_random_weights_behind(positions):
    """Its weight on what it was at step t is (1+t)/(10+t), until that is `moving_average`."""
    trainer = Trainer(random_network(SMALL, 0), Train(moving_average=0.6), FLOAT)
    name = "blocks.0.first.conv.weight"
    expected = trainer.average.state_dict()[name].clone()
    for step in range(20):
        trainer.step(batch_of(positions, np.arange(step, step + 8)), 1e-2)
        kept = min((1 + step) / (10 + step), 0.6)
        now = trainer.learner.network.state_dict()[name]
        expected = kept * expected + (1 - kept) * now
        torch.testing.assert_close(trainer.average.state_dict()[name], expected)
    again = Trainer(random_network(SMALL, 1), Train(moving_average=0.6), FLOAT)
    again.restore(copy.deepcopy(trainer.state()))
    for each in (trainer, again):  # goes on where it was
        each.step(batch_of(positions, np.arange(40, 48)), 1e-2)
    ours, theirs = (each.average.state_dict()[name] for each in (trainer, again))
    torch.testing.assert_close(ours, theirs)


def test_reliability_counts_what_was_said_and_what_came_of_it(positions):
    trainer = Trainer(random_network(SMALL, 0), Train(), FLOAT)
    batches = [batch_of(positions, np.arange(k, k + 20)) for k in (0, 20)]
    figures, table = trainer.validate(batches)
    chances = np.concatenate(
        [trainer.average(batch.planes)[1].sigmoid().detach().numpy() for batch in batches]
    )
    won = positions.value[:40] > 0
    for k in range(BINS):
        inside = (chances >= k / BINS) & (chances < (k + 1) / BINS)
        assert table[k, 0] == inside.sum()
        assert table[k, 1] == pytest.approx(chances[inside].sum(), abs=1e-5)
        assert table[k, 2] == won[inside].sum()
    error = sum(
        abs(chances[inside].sum() - won[inside].sum())
        for k in range(BINS)
        for inside in [(chances >= k / BINS) & (chances < (k + 1) / BINS)]
    )
    assert figures["validation_calibration_error"] == pytest.approx(error / 40, abs=1e-6)


TOGETHER = """
import sys
import numpy as np, torch
from hexlib.game.positions import read_positions
from hexlib.nn import parallel
from hexlib.nn.batches import make_batch
from hexlib.nn.device import Device
from hexlib.nn.learning import Trainer
from hexlib.nn.model import random_network
from hexlib.settings import Net, Train

source, output = sys.argv[1:]
torch.set_num_threads(1)
cpu = torch.device("cpu")
parallel.start(cpu)
n, k = parallel.processes(), parallel.number()
rows = np.arange(k * 64 // n, (k + 1) * 64 // n)
batch = make_batch(read_positions(source).take(rows), rows % 2 == 0, cpu)
settings = Train(soft_policy_weight=1, reply_weight=1, gradient_clip=1e9)
trainer = Trainer(random_network(Net(blocks=2, channels=8), 0), settings,
                  Device(cpu, torch.float32, "torch", "tests"))
figures = trainer.step(batch, 1e-3)
gradients = {name: p.grad.clone() for name, p in trainer.learner.named_parameters()}
stop = parallel.any_of(k == n - 1)
if k == 0:
    statistics = {name: t for name, t in trainer.learner.named_buffers()}
    torch.save({"gradients": gradients, "statistics": statistics, "figures": figures, "stop": stop},
               output)
parallel.stop()
"""


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def python(*arguments):
    """Run Python, and return what it said."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_two_processes_give_the_gradients_of_one_with_the_double_batch(tmp_path):
    source = make_buckets(tmp_path, seed=5, replies=True) / "bucket_0000.npz"
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    made = {}
    for name, launch in (("one", []), ("two", TORCHRUN)):
        output = tmp_path / f"{name}.pt"
        python(*launch, script, source, output)
        made[name] = torch.load(output, weights_only=True)
    assert made["one"]["stop"]
    assert made["two"]["stop"]
    del made["one"]["figures"]["value_spread"]  # the mean of two deviations is not that of both
    for what in ("gradients", "statistics", "figures"):
        assert made["one"][what]
        for name, one in made["one"][what].items():
            two = made["two"][what][name]
            assert torch.allclose(one.float(), two.float(), rtol=1e-3, atol=1e-5), (what, name)


def test_a_training_of_two_processes_or_threads_is_that_of_one(tmp_path):
    """Their networks agree as far as sums in another order do, after as many steps as they have."""
    source = make_buckets(tmp_path, seed=5)
    save_checkpoint(tmp_path / "start.pt", Checkpoint(random_network(SMALL, 0), [5], {}))
    command = ["train", "--source", source, "--checkpoint", tmp_path / "start.pt", "--reuse", "0.5"]
    command += ["--batch-size", "64", "--mini-epoch", "256", "--warmup-steps", "50"]
    command += ["--validation-fraction", "0.2", "--device", "cpu", "--precision", "float32"]
    alone = ["-m", "hexlib.cli"]
    found = {}
    for name, launch, threads in (
        ("one", alone, 1),
        ("two", [*TORCHRUN, *alone], 1),
        ("threads", alone, 2),
        ("again", alone, 2),
    ):
        said = python(*launch, *command, "--threads", threads, "--output-dir", tmp_path / name)
        assert said.count("mini-epoch 1:") == 1  # one of the two speaks
        found[name] = pd.read_csv(tmp_path / name / "metrics.csv")
    one = found["one"]
    assert len(one) >= 2
    spread = [column for column in one if column == "value_spread"]  # of each share by itself
    for name, left in (("two", spread), ("threads", [])):
        pair = [frame.drop(columns=left) for frame in (one, found[name])]
        # Of 346 held-out positions one may have two moves that are as good as each other.
        ours, theirs = [frame.pop("validation_policy_top1") for frame in pair]
        assert (ours - theirs).abs().max() < 1.5 / 346
        pd.testing.assert_frame_equal(*pair, rtol=1e-2)
    for name, shared in (("two", "2 processes"), ("threads", "2 threads")):
        lineage = json.loads((tmp_path / name / "lineage.json").read_text())
        assert lineage["device"].endswith(f", {shared}")
    assert sha256(tmp_path / "threads/state.pt") == sha256(tmp_path / "again/state.pt")
