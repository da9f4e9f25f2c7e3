import atexit
import os
import shutil
import tempfile

from hypothesis import settings

# Before DSPy's first use: its price and capability map must not come from the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"
# And its cache must not be the one of whoever runs the suite.
_cache = os.environ["DSPY_CACHEDIR"] = tempfile.mkdtemp(prefix="lmtest-dspy-cache-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)

# A busy machine must not fail a law that holds.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
