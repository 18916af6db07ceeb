"""Training of MTM: data on the device, one step, the loop, and atomic checkpoints."""
