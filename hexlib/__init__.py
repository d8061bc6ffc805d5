"""Trains neural networks to play Hex: game, network, search, and the stages of the workflow."""

__version__ = "0.1.0"
