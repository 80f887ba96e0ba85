"""What makes a model faster on a processor.

PyTorch multiplies float32 matrices by Intel's MKL, which uses half the width of the units of AMD processors with AVX-512. oneDNN, which
comes with PyTorch, too, uses all of it: twice as fast, and the products are the same but for the order of their sums.

And glibc gives large tensors back to the system as they are freed; the system then clears every page again for the next one. That was
a third of a training step.
"""

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

#: Inputs of a layer, and rows at a time, from which oneDNN is faster.
_INPUTS, _ROWS = 384, 8


def quicken(model: Any) -> Any:
    """Has this process keep freed memory, and the model's linear layers multiply by `product` where MKL is slow. Returns the model.

    A model that is not on the processor is left alone.
    """
    if next(model.parameters()).device.type != "cpu":
        return model
    keep_freed_memory()
    if not mkl_is_slow():
        return model
    # it keeps a program a shape: 1,024 of them are 600 MiB
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    for module in model.modules():
        if type(module) is nn.Linear and module.in_features >= _INPUTS:
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]
    return model


def keep_freed_memory() -> None:
    """Has glibc keep for the next tensor what it would give back to the system; what is free now goes back. Elsewhere nothing."""
    trim_threshold, mmap_threshold = -1, -3  # glibc's malloc.h
    if give_back():
        _glibc().mallopt(trim_threshold, -1)
        _glibc().mallopt(mmap_threshold, 1 << 30)


def give_back() -> bool:
    """Gives the system what is free now; False where there is no glibc."""
    if there := hasattr(_glibc(), "malloc_trim"):
        _glibc().malloc_trim(0)
    return there


@cache
def _glibc() -> Any:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


@cache
def mkl_is_slow() -> bool:
    """Whether PyTorch multiplies by MKL here, and the processor is AMD's with AVX-512."""
    both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    both &= hasattr(torch.ops.mkldnn, "_linear_pointwise")
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    cpus = Path("/proc/cpuinfo")
    return both and wide and cpus.is_file() and "AuthenticAMD" in cpus.read_text(encoding="utf-8", errors="replace")


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear`: x (..., K), weight (N, K), bias (N,) -> (..., N); by oneDNN where that is faster."""
    if not mkl_is_slow() or not _fits(x, weight):
        return nn.functional.linear(x, weight, bias)
    trained = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    made: Tensor = _Product.apply(x, weight, bias) if trained else _by_onednn(x, weight, bias)
    return made


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Product(torch.autograd.Function):
    """The same as autograd takes it. It keeps a layer's input as it is; torch's own function keeps copies of input and output."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Any:
        ctx.save_for_backward(x, weight)
        return _by_onednn(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (x, weight), rows, needed = ctx.saved_tensors, gradient.flatten(0, -2), ctx.needs_input_grad
        of_x = _by_onednn(gradient, weight.t()) if needed[0] else None
        of_weight = _by_onednn(rows.t(), x.flatten(0, -2).t()) if needed[1] else None
        return of_x, of_weight, rows.sum(0) if needed[2] else None


def _fits(x: Tensor, weight: Tensor) -> bool:
    whole = x.dtype == weight.dtype == torch.float32 and x.device.type == weight.device.type == "cpu"
    by_torch = torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling()
    return whole and not by_torch and x.shape[-1] >= _INPUTS and x.numel() >= _ROWS * x.shape[-1]


def _forward(self: nn.Linear, x: Tensor) -> Tensor:
    return product(x, self.weight, self.bias)
