"""DSPy's modules that cannot be a program's as they are.

DSPy is imported here: import this module where one is built.
"""

from __future__ import annotations

import copy
import math
import threading
from typing import TYPE_CHECKING, Any

import dspy

import lmtest
from python_worker.domain.errors import Reason, WorkerError
from python_worker.runtime.failures import causes, told

if TYPE_CHECKING:
    from collections.abc import Callable


class BestOfN(dspy.BestOfN):  # type: ignore[misc] # DSPy ships no types
    """DSPy's, with failures counted for each run by itself, and told where no try succeeds.

    DSPy counts them down on the module, which executions share.

    Args:
        module: What is tried.
        fail_count: How many tries may fail before the run does.
        asked: ``N``, ``reward_fn`` and ``threshold``.
    """

    def __init__(self, module: dspy.Module, *, fail_count: int, **asked: Any) -> None:
        super().__init__(module, **asked)
        self.allowed = fail_count
        self.reward_fn: _Reward = _Reward(asked["reward_fn"])

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Run the tries."""
        return _run_tries(dspy.BestOfN, self, inputs)


class Refine(dspy.Refine):  # type: ignore[misc] # DSPy ships no types
    """The same for DSPy's Refine."""

    def __init__(self, module: dspy.Module, *, fail_count: int, **asked: Any) -> None:
        super().__init__(module, **asked)
        self.allowed = fail_count
        self.reward_fn: _Reward = _Reward(asked["reward_fn"])

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Run the tries."""
        return _run_tries(dspy.Refine, self, inputs)


class MultiChainComparison(dspy.Module):  # type: ignore[misc] # DSPy ships no types
    """Several chains of thought, and DSPy's comparison of them.

    Args:
        signature: DSPy's.
        m: How many chains.
        temperature: Of the chains and of the comparison.
    """

    def __init__(self, signature: type[dspy.Signature], *, m: int, temperature: float) -> None:
        super().__init__()
        self.chain = dspy.ChainOfThought(signature, temperature=temperature)
        self.compare = dspy.MultiChainComparison(signature, M=m, temperature=temperature)

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Think several times, then compare."""
        chains = [self.chain(**inputs, config={"rollout_id": number}) for number in range(self.compare.M)]
        return self.compare(chains, **inputs)


class Parallel(dspy.Module):  # type: ignore[misc] # DSPy ships no types
    """One module over many inputs at once, by DSPy's Parallel.

    Args:
        of: The module.
        num_threads: How many at once.
    """

    def __init__(self, of: dspy.Module, *, num_threads: int) -> None:
        super().__init__()
        self.of = of
        self.num_threads = num_threads

    def forward(self, items: list[dict[str, Any]]) -> dspy.Prediction:
        """Answer every item; when one fails, those not begun are left, those begun end, and its failure is told."""
        failures: dict[int, Exception] = {}
        failed = threading.Event()

        def answer(index: int, item: dict[str, Any]) -> dspy.Prediction | None:
            if failed.is_set():
                return None
            try:
                return self.of(**item)
            except Exception as error:  # noqa: BLE001 - raised again below: DSPy would swallow it
                failures[index] = error
                failed.set()
                return None

        # No second try of a slow item: it would be paid for twice.
        parallel = dspy.Parallel(num_threads=self.num_threads, disable_progress_bar=True, timeout=0)
        predictions = parallel([(answer, pair) for pair in enumerate(items)])
        if failures:
            raise failures[min(failures)]
        return dspy.Prediction(results=[dict(prediction.items()) for prediction in predictions])


class ProgramOfThought(dspy.ProgramOfThought):  # type: ignore[misc] # DSPy ships no types
    """DSPy's, with code that fails to the last told as a bad answer of the model's."""

    def forward(self, *sandbox: Any, **inputs: Any) -> dspy.Prediction:
        """Let the model write code, and run it."""
        try:
            return super().forward(*sandbox, **inputs)
        except RuntimeError as error:
            if type(error) is not RuntimeError:  # the sandbox's own
                raise
            said = str(error).rpartition("ProgramOfThought: ")[2]
            raise WorkerError(
                f"the model's code failed in each of {self.max_iters} tries (max_iters), at last with: {said}",
                reason=Reason.UNPARSABLE_ANSWER,
            ) from error


class _EndOfRun(BaseException):
    """Carries what ends a run out of DSPy's loop over tries, which swallows every Exception."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class _Try(dspy.Module):  # type: ignore[misc] # DSPy ships no types
    """A module whose failures are counted, whichever of its copies fails."""

    def __init__(self, module: dspy.Module, failures: list[Exception], allowed: int) -> None:
        super().__init__()
        self.module = module
        self._failures = failures
        self._allowed = allowed

    def deepcopy(self) -> _Try:
        """A copy that counts with this one."""
        return _Try(self.module.deepcopy(), self._failures, self._allowed)

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Run it once."""
        try:
            return self.module(**inputs)
        except Exception as error:
            self._failures.append(error)
            # A miss or a spent budget is nobody's bad answer: another try would only hide it.
            if (
                any(isinstance(each, lmtest.LMTestError) for each in causes(error))
                or len(self._failures) > self._allowed
            ):
                raise _EndOfRun(error) from error
            raise


class _Reward:
    """A reward whose own failure ends the run: DSPy would take it for a bad answer."""

    def __init__(self, reward: Callable[..., Any]) -> None:
        self._reward = reward

    def __call__(self, inputs: dict[str, Any], prediction: dspy.Prediction) -> float:
        try:
            return _number(self._reward(inputs, prediction))
        except Exception as error:
            said = f"the reward function failed: {told(error)}"
            raise _EndOfRun(WorkerError(said, reason=Reason.CONFIGURATION, field="reward")) from error


def _number(reward: Any) -> float:
    if not isinstance(reward, int | float) or not math.isfinite(reward):
        raise TypeError(f"it must return a finite number, not {reward!r}")
    return float(reward)


def _run_tries(kind: Any, module: Any, inputs: dict[str, Any]) -> dspy.Prediction:
    failures: list[Exception] = []
    run = copy.copy(module)
    run.module = _Try(module.module, failures, module.allowed)
    run.fail_count = 2 * run.N + 1  # more than DSPy can count down: _Try counts
    failure: Exception | None = None
    prediction: dspy.Prediction | None = None
    try:
        prediction = kind.forward(run, **inputs)
    except _EndOfRun as end:
        failure = end.cause  # raised below: from here it would lose what it came of
    if failure is None and prediction is None:
        failure = failures[-1]
    if failure:
        raise failure
    return prediction
