"""What Hex is: board, symmetry, notation, records."""
