"""Many small artifacts in one process leave nothing behind."""

import gc
import tracemalloc

import numpy as np
from estimator_cases import Doubled
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from mlotel import artifacts

ALLOWED_BYTES = 300_000


def test_ten_thousand_small_artifacts_leave_memory_flat(tmp_path):
    """After 10,000 artifacts of all kinds, each seen once, the process holds less than 30 bytes more for each."""
    X = np.arange(12.0).reshape(6, 2)
    model = LogisticRegression().fit(X, [0, 1, 0, 1, 0, 1])
    (tmp_path / "file").write_bytes(b"content")

    def work(numbers):
        for number in numbers:
            model.coef_ = np.array([[number, 1.0]])
            artifacts.identify(model)
            artifacts.identify(Doubled(f"name {number}"))
            artifacts.identify(np.full(3, number))
            artifacts.identify(sparse.csr_array(([number + 1], [0], [0, 1]), shape=(1, 3)))
            artifacts.identify({"number": number, f"key {number}": [1, 2]})
            artifacts.identify(object())
            artifacts.identify(tmp_path)

    work(range(300))
    gc.collect()
    tracemalloc.start()
    work(range(300, 400))  # what tracing itself needs
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    work(range(400, 1900))
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert after - before < ALLOWED_BYTES


def test_classes_are_let_go():
    """A class whose objects were identified is freed with them."""
    import weakref

    Gone = type("Gone", (Doubled,), {"__module__": __name__, "__qualname__": "Gone"})
    globals()["Gone"] = Gone
    assert artifacts.identify(Gone()).scope == "full"
    gone = weakref.ref(Gone)
    del Gone, globals()["Gone"]
    gc.collect()
    assert gone() is None
