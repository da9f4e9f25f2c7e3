"""The check that DSPy still is as it was."""

import ast
import re
import subprocess
import sys
from pathlib import Path

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


GONE = [
    (dspy.LM, "_process_completion", "dspy.clients.lm.LM has no _process_completion"),
    (dspy.LM, "_process_response", "dspy.clients.lm.LM has no _process_response"),
    (seam._ChatStream, "feed", "litellm_engine._ChatStream has no feed"),
    (seam.LiteLLMEngine, "complete_legacy", "LiteLLMEngine has no complete_legacy"),
    (seam.AsyncBaseProviderLM, "_send", "AsyncBaseProviderLM has no _send"),
    (seam.lm_module, "_get_litellm", "dspy.clients.lm has no _get_litellm"),
    (seam.lm_module, "_add_dspy_identifier_to_headers", "dspy.clients.lm has no _add_dspy_identifier_to_headers"),
    (seam.model_metadata, "_source", "dspy.clients.model_metadata has no _source"),
    (seam.serde, "stream_event_from_dict", "lm15.serde has no stream_event_from_dict"),
]


@pytest.mark.parametrize(("owner", "name", "said"), GONE, ids=[name for _, name, _ in GONE])
def test_whatever_lmtest_stands_on_is_missed_by_its_name(monkeypatch, owner, name, said):
    holder = next((each for each in getattr(owner, "__mro__", (owner,)) if name in vars(each)), owner)
    monkeypatch.delattr(holder, name)
    with pytest.raises(lmtest.ConfigurationError, match=re.escape(said)):
        seam.check()


def test_a_field_of_a_call_that_is_gone_is_named(monkeypatch):
    for field in ("cache", "legacy", "n"):
        with monkeypatch.context() as patch:
            patch.delitem(execution.PreparedCall.__dataclass_fields__, field)
            with pytest.raises(lmtest.ConfigurationError, match=f"PreparedCall has no {field}"):
                seam.check()


def test_a_function_that_takes_other_arguments_is_named(monkeypatch):
    def other(response, provider):
        return response, provider

    monkeypatch.setattr(seam, "_CALLS", ((other, 1, ("provider", "namespaces")),))
    said = r"other takes \(response, provider\) where 1 by place and provider and namespaces were expected"
    with pytest.raises(lmtest.ConfigurationError, match=said):
        seam.check()


def test_the_check_names_every_private_part_of_dspy_that_the_file_uses():
    source = Path(seam.__file__).read_text(encoding="utf-8")
    used = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    dsps = {
        name for name in used if name.startswith("_") and not name.startswith("__") and f"self.{name}" not in source
    }
    checked = {name for _, names in seam._ATTRIBUTES for name in names} | set(seam._EXPECTED) | set(seam._EMBEDDING)
    assert dsps - checked == set()


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
