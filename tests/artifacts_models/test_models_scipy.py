"""Sparse arrays: what is stored counts, not how."""

import numpy as np
import pytest
from scipy import sparse

from mlotel.artifacts import identify

DENSE = np.zeros((50, 30))
DENSE[np.arange(0, 50, 3), np.arange(0, 17) % 30] = np.arange(1.0, 18)
FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]
ONE = identify(sparse.csr_array(DENSE))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("suffix", ["array", "matrix"])
def test_the_format_does_not_count(form, suffix):
    """Every format of the same entries is one artifact, as array and as matrix."""
    made = getattr(sparse, f"{form}_{suffix}")(DENSE)
    assert identify(made).id == ONE.id
    assert ONE.scope == "full"
    assert (ONE.row_count, ONE.column_count) == (50, 30)


@pytest.mark.parametrize("form", FORMATS)
def test_what_differs(form):
    """One entry at the start, in the middle or at the end, the shape, the dtype and density make another artifact."""
    convert = getattr(sparse, f"{form}_array")
    changed = [DENSE.copy() for _ in range(3)]
    for values, place in zip(changed, (0, 24, 48), strict=True):
        values[place, 29] = 0.5
    wider = np.hstack([DENSE, np.zeros((50, 1))])
    made = [convert(values) for values in (DENSE, *changed, DENSE.T, wider, DENSE.astype("f4"), np.zeros((50, 30)))]
    assert len({identify(value).id for value in (*made, DENSE)}) == len(made) + 1


def test_order_duplicates_and_index_types():
    """Unsorted entries, entries given in parts and 64-bit indices do not count, and the given object is left alone."""
    rows, columns = DENSE.nonzero()
    data = DENSE[rows, columns]
    shuffled = np.random.default_rng(0).permutation(len(data))
    parts = sparse.coo_array(
        (np.r_[data, data][: 2 * len(data)] / 2, (np.r_[rows, rows], np.r_[columns, columns])), shape=DENSE.shape
    )
    unsorted = sparse.coo_array((data[shuffled], (rows[shuffled], columns[shuffled])), shape=DENSE.shape)
    wide = sparse.csr_array(DENSE)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    backwards = sparse.csr_array(([2.0, 1.0], [5, 1], [0, 2]), shape=(1, 9))

    assert {identify(value).id for value in (parts, unsorted, wide)} == {ONE.id}
    assert parts.nnz == 2 * len(data)
    assert identify(backwards).id == identify(sparse.csr_array(([1.0, 2.0], [1, 5], [0, 2]), shape=(1, 9))).id
    assert backwards.indices.tolist() == [5, 1]


def test_stored_zeros():
    """A stored zero is an entry; formats that must store zeros are seen without them, but -0.0 stays."""
    stored = sparse.csr_array(([1.0, 0.0], [0, 2], [0, 2]), shape=(1, 4))
    bare = sparse.csr_array(([1.0], [0], [0, 1]), shape=(1, 4))
    minus = sparse.csr_array(([1.0, -0.0], [0, 2], [0, 2]), shape=(1, 4))
    assert len({identify(value).id for value in (stored, bare, minus)}) == 3
    assert identify(sparse.bsr_array(bare, blocksize=(1, 4))).id == identify(bare).id
    blocks = sparse.bsr_array((np.array([[[1.0, 0.0, -0.0, 0.0]]]), [0], [0, 1]), shape=(1, 4))
    assert identify(blocks).id == identify(minus).id


def test_empty_and_other_dimensions():
    """Arrays without entries, and those of one dimension where scipy has them, have content ids."""
    empty = [sparse.csr_array(shape, dtype="f8") for shape in ((0, 0), (0, 3), (3, 0), (2, 2))]
    assert len({identify(value).id for value in empty}) == 4
    assert {identify(value).scope for value in empty} == {"full"}
    try:
        lines = [sparse.coo_array(np.array(values)) for values in ([0.0, 1, 0], [0.0, 1, 0], [1.0, 0, 0])]
    except ValueError:  # before scipy 1.13
        return
    assert identify(lines[0]) == identify(lines[1]) != identify(lines[2])


def test_round_trip(tmp_path):
    """A file of save_npz holds the same artifact."""
    sparse.save_npz(tmp_path / "a.npz", sparse.csc_matrix(DENSE))
    assert identify(sparse.load_npz(tmp_path / "a.npz")).id == ONE.id


def test_what_has_no_content():
    """Objects and broken arrays have scope none."""
    broken = sparse.csr_array(DENSE)
    broken.indptr = broken.indptr[:-5]
    assert identify(broken).scope == "none"


def test_over_budget_is_sampled():
    """Without time only a sample is described."""
    assert identify(sparse.random(2000, 2000, 0.1, format="csr"), budget_s=0).scope == "sampled"
