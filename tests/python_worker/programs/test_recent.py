"""The bounded memory, held against what it should be."""

from hypothesis import given
from hypothesis import strategies as st

from python_worker.runtime.recent import Recent


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 5))
def test_it_knows_the_keys_used_last_and_makes_the_others_anew(keys, most):
    recent, made, order = Recent(most=most), [], []
    for key in keys:
        known = key in order
        assert recent.get(key, make=lambda key=key: made.append(key) or -key) == -key
        assert made[-1:] == [key] or known
        order = [*(each for each in order if each != key), key][-most:]
    assert len(made) == sum(1 for index, key in enumerate(keys) if key not in _last(keys[:index], most))


def _last(keys, most):
    order = []
    for key in keys:
        order = [*(each for each in order if each != key), key][-most:]
    return order
