"""What `hexlib VERB` does, one module a verb."""
