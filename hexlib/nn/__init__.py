"""What a network is: model, checkpoint, inference."""
