import atexit
import os
import shutil
import signal
import tempfile
from importlib.metadata import version

from hypothesis import settings

# Before DSPy's first use: its price and capability map must not come from the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"
# What limits hold, each test says itself: default ones would hold those of this run, not the suites that they run.
os.environ["LMTEST_DEFAULT_LIMITS"] = "usd_per_run=none"
# And its cache must not be the one of whoever runs the suite.
_cache = os.environ["DSPY_CACHEDIR"] = tempfile.mkdtemp(prefix="lmtest-dspy-cache-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)

# In the background, as by `make test &`, a suite is told to ignore SIGINT, and would tell all that it starts likewise.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# DSPy 3.4.0 puts a stand-in where openai is not loaded yet, and LiteLLM does not load beside that.
if version("dspy") == "3.4.0":
    import openai  # noqa: F401

# A busy machine must not fail a law that holds. CI tries the same examples each time, as Hypothesis's own profile for
# it does: a new one that fails is found where somebody can look at it, not in a change that has nothing to do with it.
settings.register_profile("suite", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("suite")
