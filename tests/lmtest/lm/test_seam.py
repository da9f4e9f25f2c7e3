"""The check that DSPy still is as it was."""

import subprocess
import sys

import dspy
import pytest
from dspy.clients import embedding, execution

import lmtest
from lmtest.lm import seam


def test_a_function_of_dspy_that_has_changed_is_named_with_the_versions(monkeypatch):
    monkeypatch.setattr(execution, "_engine", lambda somebody, else_: (somebody, else_))
    with pytest.raises(lmtest.ConfigurationError) as caught:
        seam.check()
    assert f"dspy {dspy.__version__}" in str(caught.value)
    assert f"lmtest {lmtest.__version__}" in str(caught.value)
    assert "_engine takes (somebody, else_)" in str(caught.value)


def test_a_function_of_dspy_that_is_gone_is_named(monkeypatch):
    monkeypatch.delattr(execution, "_canonical")
    with pytest.raises(lmtest.ConfigurationError, match="no _canonical"):
        seam.check()


def test_an_embedder_of_dspy_that_has_changed_is_named(monkeypatch):
    def asks_in_another_way(model, batch_inputs, caching, **kwargs):
        return model(batch_inputs, caching=caching, **kwargs)

    with monkeypatch.context() as changed:
        changed.setattr(embedding, "_compute_embeddings", asks_in_another_way)
        with pytest.raises(lmtest.ConfigurationError, match=r"does not call _get_litellm\(\)\.embedding"):
            seam.check()
    monkeypatch.delattr(embedding, "_cached_acompute_embeddings")
    with pytest.raises(lmtest.ConfigurationError, match=r"embedding has no _cached_acompute_embeddings"):
        seam.check()


def test_a_dspy_that_is_too_new_is_one_sentence_and_exit_code_2(tmp_path):
    code = """
import dspy
dspy.__version__ = "4.0.0"
from python_worker.__main__ import main
main()
"""
    command = [
        sys.executable,
        "-c",
        code,
        "serve",
        "--lm-mode",
        "mock",
        "--port",
        "0",
        "--data-dir",
        str(tmp_path / "data"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "dspy 4.0.0 is not a version lmtest" in done.stderr


def test_a_table_of_models_from_the_network_is_refused(monkeypatch):
    from dspy.clients import model_metadata

    monkeypatch.setitem(model_metadata._source, "source", "remote")
    with (
        pytest.raises(lmtest.ConfigurationError, match="LITELLM_LOCAL_MODEL_COST_MAP"),
        lmtest.use_cassette(mode="mock"),
    ):
        pass
