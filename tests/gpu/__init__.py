"""What one command measures on a machine with a CUDA device: `make gpu`."""
