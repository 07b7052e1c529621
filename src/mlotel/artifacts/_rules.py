"""Which attributes of known classes are no content, and what stands for the state of the odd ones.

Rules go by a class's public name (see ``_code.public_name``) and hold for its subclasses. What is left out:

- what was measured while fitting (seconds) and what belongs to the machine (threads) or to the use (counters, modes);
- what can be computed from other attributes;
- random generators in the middle of their series that fitting left behind: they say where training would go on from,
  and with ``random_state=None`` they are numpy's global generator, which moves whenever anything draws from it.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """What to leave out, and how to see the rest.

    Attributes:
        skipped: Names of attributes that do not count.
        generators: Names of attributes with a random generator of training. Where there is one, no generator below
            the object counts: trees hold the same one, and joblib makes copies of it.
        ordered: Names of attributes with dicts whose order counts.
        state: Turns the attributes, or the state of an extension type, into what is described; None for as they are.
    """

    skipped: frozenset[str] = frozenset()
    generators: frozenset[str] = frozenset()
    ordered: frozenset[str] = frozenset()
    state: Callable[[Any], Any] | None = None


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _search(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """A search without seconds, and without the columns that repeat ``params``."""
    results = state.get("cv_results_")
    if type(results) is not dict:
        return state
    kept = {
        name: column
        for name, column in results.items()
        if not (isinstance(name, str) and (name.endswith("_time") or name.startswith("param_")))
    }
    return {**state, "cv_results_": kept}


def _neighbor_tree(state: tuple[Any, ...]) -> tuple[Any, ...]:
    """A k-d tree or ball tree without the four counters of what queries did."""
    return (*state[:7], *state[11:]) if len(state) == 13 else state


def _distribution(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a distribution was made from; the rest is methods made of it."""
    return {"made of": {name: part for name, part in state["_ctor_param"].items() if name != "seed"}}


_TRAINING = Rule(generators=_names("_rng rng _random_state _feature_subsample_rng"))

RULES: dict[str, Rule] = {
    "sklearn.base.BaseEstimator": _TRAINING,
    "sklearn.cluster.Birch": Rule(skipped=_names("dummy_leaf_")),  # the leaves hang in the tree
    "sklearn.cluster._CFNode": Rule(skipped=_names("prev_leaf_ next_leaf_")),
    "sklearn.cluster._BaseKMeans": Rule(skipped=_names("_n_threads")),
    "sklearn.decomposition.LatentDirichletAllocation": Rule(generators=_names("random_state_")),
    "sklearn.ensemble.StackingClassifier": Rule(skipped=_names("named_estimators_")),
    "sklearn.ensemble.StackingRegressor": Rule(skipped=_names("named_estimators_")),
    "sklearn.ensemble.VotingClassifier": Rule(skipped=_names("named_estimators_")),
    "sklearn.ensemble.VotingRegressor": Rule(skipped=_names("named_estimators_")),
    "sklearn.ensemble.binning._BinMapper": Rule(skipped=_names("n_threads")),
    # the address of the stop words, noted by fit and by transform
    "sklearn.feature_extraction.text._VectorizerMixin": Rule(skipped=_names("_stop_words_id")),
    "sklearn.isotonic.IsotonicRegression": Rule(skipped=_names("f_")),
    "sklearn.model_selection.BaseSearchCV": Rule(skipped=_names("refit_time_"), state=_search),
    "sklearn.neighbors.BallTree": Rule(state=_neighbor_tree),
    "sklearn.neighbors.BallTree32": Rule(state=_neighbor_tree),
    "sklearn.neighbors.BallTree64": Rule(state=_neighbor_tree),
    "sklearn.neighbors.KDTree": Rule(state=_neighbor_tree),
    "sklearn.neighbors.KDTree32": Rule(state=_neighbor_tree),
    "sklearn.neighbors.KDTree64": Rule(state=_neighbor_tree),
    "scipy.stats.rv_generic": Rule(state=_distribution),
    "torch.nn.modules.module.Module": Rule(
        skipped=_names(
            "training _non_persistent_buffers_set _backward_hooks _backward_pre_hooks _is_full_backward_hook "
            "_forward_hooks _forward_hooks_with_kwargs _forward_hooks_always_called _forward_pre_hooks "
            "_forward_pre_hooks_with_kwargs _state_dict_hooks _state_dict_pre_hooks _load_state_dict_pre_hooks "
            "_load_state_dict_post_hooks _compiled_call_impl"
        ),
        ordered=_names("_modules"),  # the order in which a Sequential calls them
    ),
    "torch.nn.modules.rnn.RNNBase": Rule(skipped=_names("_flat_weight_refs _flat_weights _all_weights")),
}

DROPPED = frozenset(
    {
        ("_thread", "lock"),
        ("_thread", "RLock"),
        ("concurrent", "Executor"),
        ("joblib", "Logger"),  # Memory and Parallel are loggers
        ("logging", "Logger"),
        ("logging", "LoggerAdapter"),
        ("multiprocessing", "Pool"),
        ("threading", "Condition"),
        ("threading", "Event"),
        ("threading", "Semaphore"),
    }
)
"""Library and name of classes whose objects are tools and no content: an attribute that holds one does not count."""


def rule_for(names: list[str]) -> Rule:
    """The rules of a class and its ancestors as one.

    Args:
        names: Public names, the class itself first.
    """
    found = [RULES[name] for name in names if name in RULES]
    is_of_scikit_learn = names[0].startswith("sklearn.")  # others may predict with a generator of that name
    return Rule(
        skipped=frozenset().union(*(rule.skipped for rule in found)),
        generators=frozenset().union(*(rule.generators for rule in found)) if is_of_scikit_learn else frozenset(),
        ordered=frozenset().union(*(rule.ordered for rule in found)),
        state=next((rule.state for rule in found if rule.state is not None), None),
    )
