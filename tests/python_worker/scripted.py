"""Language models that answer from a script, behind the worker's own port: a real ``dspy.LM`` on an engine of ours."""

import threading
from contextlib import contextmanager

import dspy
from dspy.lm15 import Message, Response, TextPart, Usage

from python_worker.domain.execution import LMCall
from python_worker.domain.value import fingerprint


class ScriptedLMs:
    """``LMs`` for tests.

    Args:
        answers: By a word of the prompt: fields, a whole text, or an error to raise; or a list of these, in turn.
        on_scope: Called when a scope is opened; may raise.
        on_call: Called before each answer; may wait.
    """

    def __init__(self, answers, *, on_scope=lambda: None, on_call=lambda: None):
        self.engine = ScriptedEngine(answers, on_call)
        self.on_scope = on_scope
        self.endings, self.configs, self.sessions = [], [], []
        self._lm = dspy.LM("scripted/model", engine=self.engine, cache=False, num_retries=0)

    def check(self, session):
        pass

    def lm(self, config, session):
        self.configs.append(config)
        self.sessions.append(session)
        return self._lm

    @contextmanager
    def scope(self, program_name, inputs, _session):
        self.on_scope()
        ending = "failed"
        try:
            yield Scope(self.engine, f"{program_name}/{fingerprint(inputs)[:12]}.yaml")
            ending = "well"
        finally:
            self.endings.append(ending)


class ScriptedEngine:
    """DSPy's engine contract, answered from a script; remembers what each thread asked."""

    def __init__(self, answers, on_call):
        self.answers = answers
        self.prompts = []
        self.requests = []
        self._on_call = on_call
        self._thread = threading.local()

    def complete(self, request):
        prompt = request.messages[-1].text
        self.prompts.append(prompt)
        self.requests.append(request)
        self._thread.asked = [*self.asked(), request]
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

    def asked(self):
        return getattr(self._thread, "asked", [])

    def close(self):
        pass


class Scope:
    tools = ()

    def __init__(self, engine, cassette):
        self._engine, self._cassette, self._before = engine, cassette, len(engine.asked())

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
            for request in self._engine.asked()[self._before :]
        )
