"""Language models that answer from a script, behind the worker's own port: a real ``dspy.LM`` on an engine of ours."""

from contextlib import contextmanager
from contextvars import ContextVar

from dspy.lm15 import Message, Response, TextPart, Usage, response_to_events

from python_worker.domain.stage import LMCall
from python_worker.domain.value import fingerprint
from python_worker.runtime.last_words import HeardLM

# Carried into the threads that DSPy starts for a stream.
_ASKED = ContextVar("asked")


class ScriptedLMs:
    """``LMs`` for tests.

    Args:
        answers: By a word of the prompt: fields, a whole text, or an error to raise; or a list of these, in turn.
        on_scope: Called when a scope is opened; may raise.
        on_call: Called before each answer; may wait.
        live: Whether it counts as spending money, so that runs are on record before they begin.
    """

    def __init__(self, answers, *, on_scope=lambda: None, on_call=lambda: None, live=True):
        self.live = live
        self.engine = ScriptedEngine(answers, on_call)
        self.on_scope = on_scope
        self.endings, self.configs, self.sessions, self.executions = [], [], [], []
        self._lm = HeardLM("scripted/model", engine=self.engine, cache=False, num_retries=0)

    def check(self, session):
        pass

    def spends(self, _session):
        return self.live

    def budget_left(self, _config, _session):
        return None

    def lm(self, config, session):
        self.configs.append(config)
        self.sessions.append(session)
        return self._lm

    @contextmanager
    def scope(self, program_name, inputs, _session, *, execution_id, stop=None, owner=None, executed=None):  # noqa: ARG002 - the port's signature
        self.on_scope()
        self.executions.append(execution_id)
        ending = "failed"
        asked = self.engine.newest = []
        _ASKED.set(asked)
        try:
            yield Scope(asked, f"{program_name}/{fingerprint(inputs)[:12]}.yaml")
            ending = "well"
        finally:
            self.endings.append(ending)

    def close_owned(self, owner, *, failed, keep_open):  # noqa: ARG002 - likewise
        return []

    def close(self):
        pass


class ScriptedEngine:
    """DSPy's engine contract, answered from a script."""

    def __init__(self, answers, on_call):
        self.answers = answers
        self.prompts = []
        self.requests = []
        self.newest = []
        self._on_call = on_call

    def complete(self, request):
        prompt = "".join(part.text for part in request.messages[-1].parts if isinstance(part, TextPart))
        self.prompts.append(prompt)
        self.requests.append(request)
        # DSPy's own threads, such as Parallel's, have no context: they are the newest scope's.
        _ASKED.get(self.newest).append(request)
        self._on_call()
        answer = next(answer for word, answer in self.answers.items() if word in prompt)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, dict):
            answer = "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in answer.items())
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant([TextPart(answer)]),
            finish_reason="stop",
            usage=Usage(input_tokens=12, output_tokens=3, total_tokens=15),
        )

    def stream(self, request):
        yield from response_to_events(self.complete(request))

    def close(self):
        pass


class Scope:
    tools = ()
    refreshed = None

    def __init__(self, asked, cassette):
        self._asked, self._cassette = asked, cassette

    @property
    def calls(self):
        return tuple(
            LMCall(
                key=fingerprint(request.messages[-1].text),
                hit="mock",
                model=request.model,
                input_tokens=12,
                output_tokens=3,
                cost=None,
                cassette=self._cassette,
                latency=0.25,
            )
            for request in self._asked
        )
