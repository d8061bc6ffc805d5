"""How a move is chosen: Gumbel AlphaZero, fixed-width minimax, the raw policy; a player by them."""
