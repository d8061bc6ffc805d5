"""How strong a checkpoint is: on solved positions, in matches, and on the ladder of its run."""
