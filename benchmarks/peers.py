"""The programs that the benchmarks compare with; each raises ImportError where it is missing.

They play for speed alone: their networks have random weights and the shape of hexlib's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from hexlib.settings import Net


def installed(make: Callable[..., Any], *arguments: Any) -> Any:
    """What `make` returns, or None if a library that it needs is not installed."""
    try:
        return make(*arguments)
    except ImportError:
        return None


def openspiel_random_games(n: int, games: int) -> Callable[[], int]:
    """Play `games` random games in C++: one search whose only evaluation is that many rollouts."""
    import pyspiel

    game = pyspiel.load_game(f"hex(board_size={n})")
    evaluator = pyspiel.RandomRolloutEvaluator(games, 1)
    bot = pyspiel.MCTSBot(game, evaluator, 1.0, 1, 100, False, 1, False)
    first = game.new_initial_state()

    def step() -> int:
        bot.mcts_search(first)
        return games

    return step


def openspiel_winner(n: int) -> Callable[[list[int]], int]:
    """What plays a game through OpenSpiel's rules: 0 if the first player wins, else 1."""
    import pyspiel

    game = pyspiel.load_game(f"hex(board_size={n})")

    def winner(moves: list[int]) -> int:
        state = game.new_initial_state()
        for move in moves:
            state.apply_action(move)
        return int(state.player_return(1) > 0)

    return winner


def openspiel_moves(n: int, simulations: int) -> tuple[Callable[[], int]]:
    """Moves of OpenSpiel's C++ MCTS bot, one random rollout a simulation and no network."""
    import pyspiel

    game = pyspiel.load_game(f"hex(board_size={n})")
    evaluator = pyspiel.RandomRolloutEvaluator(1, 1)
    bot = pyspiel.MCTSBot(game, evaluator, 1.0, simulations, 100, True, 1, False)
    return (_moves_of(game, bot),)


def _moves_of(game: Any, bot: Any) -> Callable[[], int]:
    """One move at a time, game after game."""
    state = game.new_initial_state()

    def step() -> int:
        nonlocal state
        if state.is_terminal():
            state = game.new_initial_state()
        state.apply_action(bot.step(state))
        return 1

    return step


def openspiel_network_moves(n: int, network: Any, simulations: int) -> tuple[Callable[[], int]]:
    """Moves of OpenSpiel's MCTS bot with a torch network, one position at a time."""
    import pyspiel
    import torch
    from open_spiel.python.algorithms import mcts

    game = pyspiel.load_game(f"hex(board_size={n},plain_obs_tensor=True)")
    example = torch.zeros(1, 2, n + 2, n + 2)
    with torch.inference_mode():
        model = torch.jit.freeze(torch.jit.trace(network.folded(), example))

    class Evaluator(mcts.Evaluator):
        """Remembers the last search's answers: value and policy are asked for one by one."""

        def __init__(self) -> None:
            self.known: dict[str, Any] = {}

        def _answer(self, state: Any) -> Any:
            key = str(state)
            if key not in self.known:
                planes = np.reshape(state.observation_tensor(), (-1, n, n))[:2]
                boards = torch.from_numpy(
                    np.pad(planes.astype(np.float32), ((0, 0), (1, 1), (1, 1)))
                )
                with torch.inference_mode():
                    logits, value = model(boards[None])
                self.known[key] = logits[0].numpy(), float(torch.tanh(value / 2))
            return self.known[key]

        def evaluate(self, state: Any) -> Any:
            """Values by player."""
            value = self._answer(state)[1]
            return np.array([value, -value] if state.current_player() == 0 else [-value, value])

        def prior(self, state: Any) -> Any:
            """Probabilities of the legal moves."""
            legal = state.legal_actions()
            weights = np.exp(self._answer(state)[0][legal])
            return list(zip(legal, weights / weights.sum(), strict=True))

    evaluator = Evaluator()
    choose = mcts.SearchNode.puct_value
    bot = mcts.MCTSBot(game, 1.0, simulations, evaluator, child_selection_fn=choose)
    move = _moves_of(game, bot)

    def step() -> int:
        evaluator.known.clear()
        return move()

    return (step,)


def _pgx_rules(n: int, batch: int) -> tuple[Any, Any]:
    """The rules of pgx's Hex and its first positions; its environment is for 11×11 alone."""
    import jax
    import jax.numpy as jnp
    from pgx._src.games.hex import Game, GameState

    one = GameState(jnp.int32(0), jnp.zeros(n * n, jnp.int32), jnp.bool_(False))
    first = jax.tree.map(lambda x: jnp.broadcast_to(x, (batch, *x.shape)), one)
    return jax.vmap(Game(size=n).step), first


def _begin_anew(state: Any, first: Any) -> Any:
    """Finished games replaced by new ones."""
    import jax
    import jax.numpy as jnp

    over = state.terminated
    return jax.tree.map(
        lambda now, new: jnp.where(over.reshape(-1, *[1] * (now.ndim - 1)), new, now), state, first
    )


def pgx_random_games(n: int, batch: int) -> Callable[[], int]:
    """Random games of pgx's rules, `batch` in step; counts those that end."""
    import jax
    import jax.numpy as jnp

    play, first = _pgx_rules(n, batch)

    @jax.jit
    def some_moves(state: Any, key: Any) -> Any:
        def move(carry: Any, key: Any) -> Any:
            state, ended = carry
            lot = jax.random.uniform(key, state.board.shape)
            state = play(state, jnp.where(state.board == 0, lot, -1).argmax(1))
            ended += state.terminated.sum()
            return (_begin_anew(state, first), ended), None

        return jax.lax.scan(move, (state, jnp.int32(0)), jax.random.split(key, n))[0]

    state, key = first, jax.random.key(1)
    for _ in range(2 * n):  # until games are at all stages
        key, lot = jax.random.split(key)
        state, _ = some_moves(state, lot)

    def step() -> int:
        nonlocal state, key
        key, lot = jax.random.split(key)
        state, ended = some_moves(state, lot)
        return int(ended)

    return step


def _jax_network(net: Net, seed: int) -> tuple[Any, Callable[..., Any]]:
    """Weights and function of a network shaped as `hexlib.nn.model.HexNet`, norms folded away."""
    import jax
    import jax.numpy as jnp

    channels = net.channels
    keys = iter(jax.random.split(jax.random.key(seed), 4 * net.blocks + 16))

    def weight(*shape: int) -> Any:
        return jax.random.normal(next(keys), shape) / np.sqrt(np.prod(shape[:-1]))

    weights = {
        "stem": weight(3, 3, 2, channels),
        "blocks": [
            {
                "first": weight(3, 3, channels, channels),
                "second": weight(3, 3, channels, channels),
                **({"pool": weight(2 * channels, channels)} if k % 3 == 1 else {}),
            }
            for k in range(net.blocks)
        ],
        "policy": weight(1, 1, channels, channels),
        "policy_bias": weight(2 * channels, channels),
        "policy_out": weight(1, 1, channels, 1),
        "value": weight(1, 1, channels, channels),
        "value_hidden": weight(2 * channels, 64),
        "value_out": weight(64, 1),
    }

    def convolve(x: Any, kernel: Any, padding: str = "SAME") -> Any:
        names = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=names)

    def pooled(x: Any) -> Any:
        return jnp.concatenate([x.mean((1, 2)), x.max((1, 2))], 1)

    def evaluate(weights: Any, planes: Any) -> tuple[Any, Any]:
        """Planes float32 [B, n, n, 2] → logits [B, A], values [B]."""
        ring = jnp.pad(planes, ((0, 0), (1, 1), (1, 1), (0, 0)))
        x = jax.nn.relu(convolve(ring, weights["stem"], "VALID"))
        for block in weights["blocks"]:
            y = jax.nn.relu(convolve(x, block["first"]))
            if "pool" in block:
                y += (pooled(y) @ block["pool"])[:, None, None]
            x = jax.nn.relu(x + convolve(y, block["second"]))
        whole = pooled(jax.nn.relu(convolve(x, weights["value"])))
        bias = (whole @ weights["policy_bias"])[:, None, None]
        policy = jax.nn.relu(convolve(x, weights["policy"]) + bias)
        logits = convolve(policy, weights["policy_out"]).reshape(len(planes), -1)
        value = jax.nn.relu(whole @ weights["value_hidden"]) @ weights["value_out"]
        return logits, jnp.tanh(value[:, 0] / 2)

    return weights, evaluate


def mctx_moves(
    n: int, net: Net, simulations: int, batch: int
) -> tuple[Callable[[], int], Callable[[], int]]:
    """Gumbel MuZero on pgx's rules: a step of moves, and a bare forward pass; both give counts."""
    import jax
    import jax.numpy as jnp
    import mctx

    play, first = _pgx_rules(n, batch)
    weights, network = _jax_network(net, 0)

    def evaluate(weights: Any, state: Any) -> tuple[Any, Any]:
        board = state.board.reshape(batch, n, n)
        planes = jnp.stack([board > 0, board < 0], 3).astype(jnp.float32)
        logits, value = network(weights, planes)
        return jnp.where(state.board == 0, logits, -1e9), value

    def after(weights: Any, key: Any, action: Any, state: Any) -> Any:
        state = play(state, action)
        logits, value = evaluate(weights, state)
        over = state.terminated
        return mctx.RecurrentFnOutput(
            reward=jnp.where(over, 1.0, 0.0),
            discount=jnp.where(over, 0.0, -1.0),
            prior_logits=logits,
            value=jnp.where(over, 0.0, value),
        ), state

    @jax.jit
    def move(weights: Any, state: Any, key: Any) -> Any:
        logits, value = evaluate(weights, state)
        found = mctx.gumbel_muzero_policy(
            weights,
            key,
            mctx.RootFnOutput(prior_logits=logits, value=value, embedding=state),
            after,
            simulations,
            invalid_actions=state.board != 0,
            max_num_considered_actions=16,
        )
        return _begin_anew(play(state, found.action), first)

    state, key = first, jax.random.key(1)

    def step() -> int:
        nonlocal state, key
        key, lot = jax.random.split(key)
        state = jax.block_until_ready(move(weights, state, lot))
        return batch

    forward = jax.jit(evaluate)

    def bare() -> int:
        jax.block_until_ready(forward(weights, first))
        return batch

    return step, bare
