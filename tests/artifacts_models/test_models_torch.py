"""torch: tensors, modules and state dicts."""

import copy
import io

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402 - after the check that it is there

from mlotel import artifacts  # noqa: E402 - as above
from mlotel.artifacts import identify  # noqa: E402 - as above

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # torch's own

NUMPY_TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?", "c8", "c16"]


class Net(nn.Module):
    """A user's own module."""

    def __init__(self, width=4, rate=0.1, activation=nn.functional.relu):
        super().__init__()
        self.first = nn.Linear(3, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(rate)
        self.register_buffer("scale", torch.ones(2), persistent=False)
        self.activation = activation


def seeded(make):
    torch.manual_seed(0)
    return make()


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_tensors_are_arrays(dtype):
    """A tensor and a numpy array of the same elements are one artifact; strides do not count."""
    values = (np.arange(12).reshape(3, 4) % 5).astype(dtype)
    tensor = torch.from_numpy(values.copy())
    assert identify(tensor) == identify(values)
    assert identify(tensor.t()) == identify(values.T) == identify(tensor.t().contiguous())
    assert identify(tensor[:, ::2]) == identify(values[:, ::2])
    assert identify(tensor).scope == "full"


@pytest.mark.parametrize("place", [0, 2500, 4999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.float8_e5m2])
def test_one_changed_element(place, dtype):
    """One other element at the start, in the middle or at the end."""
    one = torch.zeros(5000).to(dtype)
    other = torch.zeros(5000)
    other[place] = 1
    assert identify(one) == identify(one.clone()) != identify(other.to(dtype))


def test_shape_and_dtype_count():
    """Tensors of the same bytes differ by shape and dtype."""
    made = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(4, dtype=torch.int32), torch.zeros(8, dtype=torch.bfloat16),
            torch.zeros(8, dtype=torch.float16), torch.zeros(0), torch.zeros(0, 3), torch.tensor(0.0)]  # fmt: skip
    assert len({identify(tensor).id for tensor in made}) == len(made)


def test_parameters_gradients_and_hooks():
    """A Parameter is a tensor; requires_grad, gradients, graphs and hooks do not count and stay as they are."""
    plain = torch.arange(4.0)
    parameter = nn.Parameter(torch.arange(4.0))
    (parameter * 2).sum().backward()
    parameter.register_hook(lambda gradient: gradient)
    grown = torch.arange(4.0, requires_grad=True) * 1

    assert identify(plain) == identify(parameter) == identify(grown)
    assert parameter.grad is not None
    assert parameter.requires_grad
    assert grown.grad_fn is not None


def test_views_conjugates_and_nans():
    """Lazy conjugates and negatives count by their values, NaNs are one in every float of 16 bits and more."""
    number = torch.complex(torch.arange(3.0), torch.ones(3))
    assert identify(number.conj()) == identify(number.conj().resolve_conj()) != identify(number)
    for dtype, payload in ((torch.float32, 0x7FC00001), (torch.bfloat16, 0x7FC1), (torch.float16, 0x7E01)):
        bits = torch.tensor([payload]).to(torch.int32 if dtype == torch.float32 else torch.int16)
        assert identify(bits.view(dtype)) == identify(torch.tensor([float("nan")], dtype=dtype))


def test_sparse_and_quantized():
    """Sparse tensors by their coalesced entries and layout, quantized ones by integers, scales and zero points."""
    split = torch.sparse_coo_tensor([[0, 0, 1], [1, 1, 0]], [1.0, 2.0, 5.0], (2, 2))
    whole = torch.sparse_coo_tensor([[0, 1], [1, 0]], [3.0, 5.0], (2, 2))
    assert identify(split) == identify(whole)
    values = torch.rand(2, 3)
    channels = torch.quantize_per_channel(values, torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8)
    made = [split, whole.to_dense(), whole.to_sparse_csr(), whole.to_sparse_csc(), values, channels,
            torch.quantize_per_tensor(values, 0.1, 0, torch.qint8),
            torch.quantize_per_tensor(values, 0.1, 1, torch.qint8),
            torch.quantize_per_tensor(values, 0.1, 0, torch.quint8)]  # fmt: skip
    ids = [identify(tensor) for tensor in made]
    assert {identity.scope for identity in ids} == {"full"}
    assert len({identity.id for identity in ids}) == len(made)
    assert not split.is_coalesced()


def test_what_has_no_content():
    """Meta tensors, subclasses and modules with unknown pieces have scope none."""

    class Own(torch.Tensor):
        pass

    odd = Net()
    odd.handle = iter([])
    local = Net(activation=lambda values: values)
    for value in (torch.empty(3, device="meta"), torch.zeros(3).as_subclass(Own), odd, local, nn.LazyLinear(3)):
        assert identify(value).scope == "none"
    assert identify({"a": torch.empty(3, device="meta")}).scope == "none"
    assert identify(odd.state_dict()).scope == "full"


def test_modules():
    """Modules are equal by class, settings, parameters and buffers; copies and files hold the same artifact."""
    one, same = seeded(Net), seeded(Net)
    file = io.BytesIO()
    torch.save(one, file)
    file.seek(0)

    assert identify(one).scope == "full"
    assert (
        identify(one)
        == identify(same)
        == identify(copy.deepcopy(one))
        == identify(torch.load(file, weights_only=False))
    )
    assert identify(one.eval()) == identify(same)
    one.register_forward_hook(print)
    one.first.weight.grad = torch.ones(4, 3)
    one.requires_grad_(False)
    assert identify(one) == identify(same)
    assert artifacts.artifact_type(one) == "model"


def test_what_makes_another_module():
    """A weight, a buffer, a setting without weights, a function, the order of layers and the class count."""
    made = [seeded(Net), seeded(lambda: Net(rate=0.2)), seeded(lambda: Net(activation=nn.functional.gelu))]
    weight, buffer, hidden = seeded(Net), seeded(Net), seeded(Net)
    with torch.no_grad():
        weight.first.weight[1, 1] += 1e-3
        buffer.norm.running_mean[0] = 1
        hidden.scale[0] = 2
    made += [weight, buffer, hidden, nn.Dropout(0.1), nn.Dropout(0.2), nn.ReLU(), nn.GELU(), nn.Sequential()]
    made += [nn.Sequential(nn.ReLU(), nn.Dropout()), nn.Sequential(nn.Dropout(), nn.ReLU())]
    named = {"a": nn.ReLU(), "b": nn.Dropout()}
    made += [nn.Sequential(nn.modules.container.OrderedDict(pairs)) for pairs in (named, reversed(named.items()))]

    ids = [identify(module) for module in made]
    assert {identity.scope for identity in ids} == {"full"}
    assert len({identity.id for identity in ids}) == len(made)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LSTM(3, 4, 2, bidirectional=True),
        lambda: nn.GRU(3, 4),
        lambda: nn.Transformer(8, 2, 1, 1, 16),
        lambda: nn.MultiheadAttention(8, 2),
        lambda: nn.Conv2d(1, 2, 3),
        lambda: nn.Embedding(5, 3, padding_idx=0),
        lambda: nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.ModuleList([nn.Identity()])}),
        lambda: nn.ParameterList([torch.ones(2)]),
        lambda: nn.CrossEntropyLoss(weight=torch.ones(3)),
    ],
)
def test_layers_of_torch(make):
    """The usual layers have content ids that two equal ones share."""
    assert identify(seeded(make)) == identify(seeded(make))
    assert identify(seeded(make)).scope == "full"


def test_state_dicts(tmp_path):
    """A state dict is a dict of tensors: saved, loaded and as numpy arrays it is the same artifact."""
    state = seeded(Net).state_dict()
    torch.save(state, tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)

    assert identify(state).scope == "full"
    assert identify(state) == identify(loaded) == identify(dict(state))
    assert identify(state) == identify({name: tensor.numpy() for name, tensor in state.items()})
    loaded["first.bias"][0] += 1
    assert identify(state) != identify(loaded)


def test_shared_storage():
    """Views of one storage count by what they show, tied weights like equal ones."""
    storage = torch.arange(10.0)
    assert identify(storage[2:5]) == identify(torch.tensor([2.0, 3.0, 4.0]))
    tied, equal = seeded(lambda: nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))), None
    tied[1].weight = tied[0].weight
    equal = copy.deepcopy(tied)
    equal[1].weight = nn.Parameter(tied[0].weight.detach().clone())
    assert identify(tied) == identify(equal)


def test_compiled_modules_are_what_was_compiled():
    """torch.compile's wrapper is the module in it."""
    module = seeded(lambda: nn.Linear(2, 2))
    assert identify(torch.compile(module)) == identify(module)


def test_sampled():
    """A tensor or a module without time has a partial id."""
    assert identify(torch.zeros(2_000_000), budget_s=0).scope == "sampled"
    assert identify(nn.Linear(1000, 1000), budget_s=0).scope == "sampled"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_devices():
    """The device does not count."""
    values = torch.rand(3000, 3000)
    assert identify(values.cuda()) == identify(values)
    assert identify(values.cuda().t()) == identify(values.t())
