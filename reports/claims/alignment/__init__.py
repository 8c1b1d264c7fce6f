"""What training leaves in the covariance: aligned with the data, layer by layer."""
