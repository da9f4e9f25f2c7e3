import os

import dspy
import pytest


@pytest.fixture(autouse=True)
def lm():
    """The model under test. QA_API_BASE points it at another server than Google's, such as `lmtest serve`."""
    model = dspy.LM("gemini/gemini-2.5-flash", api_base=os.environ.get("QA_API_BASE"))
    with dspy.context(lm=model):
        yield model
