"""What only a GPU can show; skipped where there is none."""

import numpy as np
import pytest
import torch
from synthetic import make_buckets

from hexlib.files import sha256
from hexlib.game.board import LEGAL
from hexlib.game.positions import read_positions
from hexlib.game.records import read_games, replay
from hexlib.nn.batches import make_batch
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.nn.learning import Trainer
from hexlib.nn.model import random_network
from hexlib.settings import Inference, Net, Selfplay, Train
from hexlib.stages import selfplay

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

NET = Net(blocks=2, channels=32)
SIZE = 7


def evaluator(device, precision="float32"):
    inference = Inference(device=device, precision=precision, backend="torch")
    return Evaluator(random_network(NET, 0), SIZE, choose(inference))


@pytest.fixture(scope="module")
def boards():
    return np.random.default_rng(0).integers(0, 3, (1500, SIZE**2)).astype(np.int8)


@pytest.fixture(scope="module")
def positions(tmp_path_factory):
    return read_positions(
        make_buckets(tmp_path_factory.mktemp("source"), replies=True) / "bucket_0000.npz"
    )


@pytest.mark.parametrize(("precision", "most"), [("float32", 0.02), ("bfloat16", 0.2)])
def test_it_says_of_a_board_what_the_processor_says(boards, precision, most):
    """Convolutions in float32 use TF32 there, which has ten bits of the mantissa."""
    for ours, theirs in zip(
        evaluator("cuda", precision)(boards), evaluator("cpu")(boards), strict=True
    ):
        assert np.abs(ours - theirs).max() < most
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.995


def test_answers_come_in_the_order_asked_and_do_not_depend_on_the_batch(boards):
    asked = evaluator("cuda")
    whole = asked(boards)
    parts = np.array_split(boards, [3, 700, 701, 1300])
    pending = [asked.ask(part) for part in parts]
    answers = [answer() for answer in pending]
    for k, expected in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([one[k] for one in answers]), expected)


def games(checkpoint, folder, batch):
    folder.mkdir()
    settings = Selfplay(simulations=8, batch_size=batch)
    options = {"board_size": SIZE, "games": 100, "first_game": 0, "generation": 0, "seed": 1}
    device = Inference(device="cuda")
    shard = folder / "games.trmph"
    selfplay.run(checkpoint, shard, settings, device, **options, progress_dir=folder / "progress")
    return shard


def test_the_same_games_with_any_batch(tmp_path):
    checkpoint = tmp_path / "net.pt"
    save_checkpoint(checkpoint, Checkpoint(random_network(NET, 0), [SIZE], {}))
    few, many = (games(checkpoint, tmp_path / f"{batch}", batch) for batch in (16, 64))
    (block,) = read_games(few, SIZE)
    record = block.games
    assert len(record) == 100
    assert (replay(record)[0] == LEGAL).all()
    assert sha256(few.with_suffix(".search.npz")) == sha256(many.with_suffix(".search.npz"))


@pytest.mark.parametrize("share", [0, 0.5])
def test_it_unpacks_positions_as_the_processor_does(positions, share):
    turn = np.random.default_rng(0).random(len(positions)) < share
    there, here = (make_batch(positions, turn, torch.device(name)) for name in ("cuda", "cpu"))
    for name, ours, theirs in zip(there._fields, there, here, strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, equal_nan=True, msg=name)


def test_it_learns(positions):
    device = choose(Inference(device="cuda"))
    trainer = Trainer(random_network(NET, 0), Train(), device)
    batch = make_batch(positions, np.zeros(len(positions), bool), device.device)
    losses = [trainer.step(batch, 0.003)["loss"].item() for _ in range(60)]
    assert losses[-1] < 0.8 * losses[0]
    trainer.validate([batch])
