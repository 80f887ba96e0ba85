"""oneDNN in place of MKL: the same products and gradients, and nothing else touched. Freed memory is used again."""

import copy
import subprocess
import sys

import pytest
import tiny
import torch
from torch import nn

from unlearn import cpu
from unlearn.cpu import quicken


@pytest.fixture(autouse=True)
def slow(monkeypatch):
    if not torch.backends.mkldnn.is_available():
        pytest.fail("PyTorch has no oneDNN here")
    monkeypatch.setattr(cpu, "mkl_is_slow", lambda: True)
    monkeypatch.setattr(cpu, "_INPUTS", 16)


@pytest.mark.parametrize("bias", [True, False])
def test_the_same_products_and_gradients(bias):
    torch.manual_seed(0)
    layer, x = nn.Linear(48, 80, bias=bias), torch.randn(3, 20, 48, requires_grad=True)
    ours = quicken(copy.deepcopy(layer))
    assert "forward" in vars(ours) and "forward" not in vars(layer)
    exact = nn.functional.linear(x.detach().double(), layer.weight.double(), layer.bias.double() if bias else None)
    with torch.no_grad():
        torch.testing.assert_close(ours(x).double(), exact, rtol=1e-5, atol=1e-5)
    found = []
    for one in (layer, ours):
        x.grad = None
        out = one(x)
        out.sin().sum().backward()
        found.append([out.detach(), x.grad, *(p.grad for p in one.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert len(found[0]) == 3 + bias


def test_nothing_is_copied_for_the_gradients():
    layer, x, kept = quicken(nn.Linear(48, 80)), torch.randn(20, 48, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
        layer(x)
    assert {one.data_ptr() for one in kept} == {x.data_ptr(), layer.weight.data_ptr()}


def test_a_frozen_layer_passes_gradients_on():
    layer = quicken(nn.Linear(16, 16)).requires_grad_(False)
    x = torch.randn(20, 16, requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(20, -1))
    assert layer.weight.grad is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_are_left_to_torch(dtype):
    layer, x = nn.Linear(16, 16).to(dtype), torch.randn(20, 16, dtype=dtype)
    assert torch.equal(quicken(copy.deepcopy(layer))(x), layer(x))


def test_autocast_is_left_to_torch():
    layer, x = nn.Linear(16, 16), torch.randn(20, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(quicken(copy.deepcopy(layer))(x), layer(x))


def test_a_copy_multiplies_by_its_own_weights():
    model = quicken(tiny.llama(300))
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.lm_head.weight.zero_()
        ids = torch.arange(3, 40)[None]
        assert not other(ids).logits.any() and model(ids).logits.any()


def test_narrow_layers_and_single_rows_are_left_to_torch(monkeypatch):
    layer = quicken(nn.Linear(16, 16))
    monkeypatch.setattr(torch.nn.functional, "linear", lambda *_: "torch's own")
    assert layer(torch.randn(7, 16)) == "torch's own" != layer(torch.randn(8, 16).detach())
    assert "forward" not in vars(quicken(nn.Linear(15, 16)))


def test_nothing_changes_on_other_processors(monkeypatch):
    monkeypatch.setattr(cpu, "mkl_is_slow", lambda: False)
    assert "forward" not in vars(quicken(nn.Linear(2, 2)))


FAULTS = """
import resource, torch
from unlearn.cpu import keep_freed_memory
CALL
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(100 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for _ in range(5):
    found = faults()
print(found)
"""


def test_memory_of_freed_tensors_is_not_cleared_again():
    def pages(call):
        words = [sys.executable, "-c", FAULTS.replace("CALL", call)]
        return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    assert pages("") > 4 * 100 * 256 * 0.9  # 100 MiB are 25,600 pages of 4 KiB
    assert pages("keep_freed_memory()") < 1000


KEPT = """
import torch
from pathlib import Path
from unlearn.cpu import give_back, keep_freed_memory
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) >> 8
keep_freed_memory()
before = held()
small, *large = [torch.ones(100 << 20, dtype=torch.uint8) for _ in range(4)][::-1]
del large
print(held() - before, give_back(), held() - before)
"""


def test_memory_that_is_free_is_given_back_even_below_what_is_not():
    done = subprocess.run([sys.executable, "-c", KEPT], check=True, capture_output=True, text=True)
    kept, there, left = done.stdout.split()
    assert (int(kept) > 390, there, int(left) < 150) == (True, "True", True), done.stdout


def test_a_model_elsewhere_is_left_alone():
    assert "forward" not in vars(quicken(nn.Linear(48, 80, device="meta")))
