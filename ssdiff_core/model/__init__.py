"""The network SSNet, its diffusion, its weights as tensors, and the devices it runs on."""
