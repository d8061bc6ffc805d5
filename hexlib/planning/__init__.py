"""What a run will need, told before it is begun: disk, time, and which stage holds it up."""
