"""What pre-training on random labels does to a later task."""
