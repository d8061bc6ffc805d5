"""How others play against a checkpoint, and have it judge their games."""
