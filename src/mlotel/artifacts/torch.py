"""torch tensors by their elements, and modules by their classes, parameters, buffers and settings.

Tensors of dtypes that numpy has are the same artifacts as numpy arrays of the same shape, dtype and elements; bfloat16
and the other dtypes of torch's own stand for themselves. The device, strides, shared memory, ``requires_grad``,
gradients and hooks do not count, and a ``Parameter`` is a tensor. Sparse tensors count by layout, indices and values
(COO coalesced), quantized ones by their integers, scales and zero points.

A module is its class, its parameters, buffers and submodules (in order), and its other attributes: the ``p`` of a
``Dropout`` counts, the mode (``train`` or ``eval``) does not. A module with an attribute that cannot be described
has no content id; its ``state_dict()`` has one, as any dict of tensors.

Tensors are read, never written. Those on a device are copied to memory a piece at a time, which waits for the work
queued on it; while a CUDA graph is captured nothing is copied and there is no content id.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found,unused-ignore]  # optional, and not there where types are checked

from mlotel.artifacts._base import Hasher, Unidentifiable, hash_schema
from mlotel.artifacts._look import ancestry, origin
from mlotel.artifacts._numbers import Array, blocks, canonical, feed
from mlotel.artifacts._walk import identify_object
from mlotel.types import Identity

_PIECE = 1 << 24  # bytes copied from a device at a time
_LAYOUTS = {
    torch.sparse_csr: ("crow_indices", "col_indices"),
    torch.sparse_csc: ("ccol_indices", "row_indices"),
    torch.sparse_bsr: ("crow_indices", "col_indices"),
    torch.sparse_bsc: ("ccol_indices", "row_indices"),
}
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def matches(value: Any) -> bool:
    """Whether the value is a module, or a tensor of torch's own class; subclasses of tensors may hold more."""
    kind = type(value)
    if kind is torch.Tensor or kind is torch.nn.Parameter or origin(kind) == ("torch", "Buffer"):
        return True
    return any(origin(ancestor) == ("torch", "Module") for ancestor in ancestry(value))


def identify(value: Any, hasher: Hasher) -> Identity:
    """Identity of a tensor or a module.

    Raises:
        Unidentifiable: If the tensor has no elements of its own (meta, nested), or a piece of the module cannot be
            described.
    """
    if isinstance(value, torch.Tensor):
        with torch.no_grad():
            return _tensor(value, hasher)
    if origin(type(value)) == ("torch", "OptimizedModule"):  # torch.compile's wrapper
        value = value._orig_mod
    hasher.text("object")
    identify_object(value, hasher)
    return hasher.identity()


def _tensor(value: torch.Tensor, hasher: Hasher) -> Identity:
    tensor = value.detach()
    if tensor.is_cuda and torch.cuda.is_current_stream_capturing():
        raise Unidentifiable("a tensor on a device whose work is being captured")
    if tensor.is_meta or tensor.is_nested or tensor.layout not in {torch.strided, torch.sparse_coo, *_LAYOUTS}:
        raise Unidentifiable(f"a tensor on {tensor.device} with layout {tensor.layout}")
    shape = tuple(tensor.shape)
    facts = {"rows": shape[0] if shape else None, "columns": shape[1] if len(shape) == 2 else None}
    if tensor.is_quantized:
        hasher.text("quantized tensor")
        parts = _quantized(tensor, hasher)
    elif tensor.layout == torch.sparse_coo:
        hasher.text("sparse tensor")
        tensor = tensor.coalesce()
        parts = [tensor.indices(), tensor.values()]
    elif tensor.layout != torch.strided:
        hasher.text(f"sparse tensor {str(tensor.layout).removeprefix('torch.')}")
        parts = [*(getattr(tensor, name)().to(torch.int64) for name in _LAYOUTS[tensor.layout]), tensor.values()]
    else:
        return _dense(tensor, hasher, facts)
    hasher.number(len(shape))
    for length in shape:
        hasher.number(length)
    for part in parts:
        _elements(part, hasher)
    return hasher.identity(schema_hash=hash_schema(["tensor", _word(tensor), *map(str, shape[1:])]), **facts)


def _dense(tensor: torch.Tensor, hasher: Hasher, facts: dict[str, int | None]) -> Identity:
    word = _word(tensor)
    hasher.text("array")
    _elements(tensor, hasher)
    schema = hash_schema(["array", word, *map(str, tensor.shape[1:])])
    return hasher.identity(schema_hash=schema, size=tensor.numel() * tensor.element_size(), **facts)


def _quantized(tensor: torch.Tensor, hasher: Hasher) -> list[torch.Tensor]:
    scheme = tensor.qscheme()
    hasher.text(f"{tensor.dtype} {scheme}")
    if scheme in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return [tensor.int_repr(), torch.tensor([tensor.q_scale()], dtype=torch.float64),
                torch.tensor([tensor.q_zero_point()])]  # fmt: skip
    hasher.number(tensor.q_per_channel_axis())
    return [tensor.int_repr(), tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()]


def _word(tensor: torch.Tensor) -> str:
    """The dtype in numpy's words where numpy has it."""
    return str(tensor.dtype).removeprefix("torch.")


def _elements(tensor: torch.Tensor, hasher: Hasher) -> None:
    """Describe a dense tensor as ``mlotel.artifacts.array`` describes an array."""
    hasher.number(tensor.dim())
    for length in tensor.shape:
        hasher.number(length)
    hasher.text(_word(tensor))
    for axis in range(tensor.dim()) if hasher.sampling else ():
        limit = 1000 if axis == 0 else max(1, 100_000 // max(1, int(np.prod(tensor.shape[:axis]))))
        step = hasher.stride(tensor.shape[axis], limit)
        tensor = tensor[(slice(None),) * axis + (slice(None, None, step),)]
    for piece in _pieces(tensor):
        for block in blocks(piece):
            feed(hasher, canonical(block))
        hasher.check()


def _pieces(tensor: torch.Tensor) -> Iterator[Array]:
    """The elements in C order as numpy arrays; all at once from memory, in pieces from a device."""
    if tensor.numel() == 0:
        return
    if tensor.device.type == "cpu":
        yield _as_numpy(tensor)
        return
    row_bytes = tensor.numel() * tensor.element_size() // (tensor.shape[0] if tensor.dim() else 1)
    if row_bytes > _PIECE and tensor.dim() > 1:
        for row in tensor:
            yield from _pieces(row)
        return
    if tensor.dim() == 0:
        tensor = tensor.reshape(1)
    step = max(1, _PIECE // max(1, row_bytes))
    for start in range(0, tensor.shape[0], step):
        yield _as_numpy(tensor[start : start + step].contiguous().cpu())


def _as_numpy(tensor: torch.Tensor) -> Array:
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        bits: Array = tensor.view(torch.int16).numpy()
        is_nan = (bits & 0x7FFF) > 0x7F80
        return np.where(is_nan, np.int16(0x7FC0), bits) if is_nan.any() else bits
    if tensor.dtype in (torch.bool, torch.uint8) or hasattr(np, _word(tensor)):
        found: Array = tensor.numpy()
        return found
    # 8-bit floats and the like: by their bits
    return np.asarray(tensor.view(_INTEGERS[tensor.element_size()]).numpy())
