"""The processes that share a run: one, or as many as `accelerate launch` or `torchrun` started."""

import os
from datetime import timedelta

import torch
from accelerate import PartialState

#: How long processes wait for one that works alone, such as the one that reads the target for NPO's reference.
#: NCCL's own limit is 10 minutes.
_LONGEST = timedelta(hours=12)


def processes() -> PartialState:
    """Accelerate's view of them. Without an accelerator it must be told to use the CPU, or every process thinks it is alone."""
    told = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    return PartialState(cpu=told or not torch.accelerator.is_available(), timeout=_LONGEST)
