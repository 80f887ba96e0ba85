"""The processes that share a run: one, or as many as `accelerate launch` or `torchrun` started."""

import os

import torch
from accelerate import PartialState


def processes() -> PartialState:
    """Accelerate's view of them. Without an accelerator it must be told to use the CPU, or every process thinks it is alone."""
    on_cpu = not torch.accelerator.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() in (
        "1",
        "true",
        "yes",
    )
    return PartialState(cpu=on_cpu)
