"""A program whose model is heard while it speaks. Imports DSPy: import it late."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

import dspy
from dspy.streaming import StatusMessage, StreamListener, StreamResponse, streamify

from python_worker.domain.execution_event import StatusText, Token

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

# The formats that DSPy's listeners read.
_HEARD = {"ChatAdapter", "JSONAdapter", "XMLAdapter"}

_PIECE = re.compile(r"\s*\S+\s*|\s+")


def run_streaming(
    module: dspy.Module, inputs: dict[str, Any], *, tell: Callable[[Token | StatusText], None]
) -> dspy.Prediction:
    """Run a program in the current DSPy context, telling what its models say while they say it.

    It asks the same as an execution that is not heard, so both play the same recordings. The program runs in a thread
    that DSPy starts, with this context, and may await in a loop of its own; this thread hears it.

    Args:
        module: The program.
        inputs: By field.
        tell: Called with each piece; a module that is not heard by field tells its status alone.

    Returns:
        What the program answered.
    """
    ears = _Ears(module)
    failed: list[BaseException] = []

    async def listen() -> dspy.Prediction:
        prediction: dspy.Prediction | None = None
        heard = streamify(_into_this_loop(module, failed), include_final_prediction_in_output_stream=True)
        stream: AsyncGenerator[Any, None] = heard(**inputs)
        async with contextlib.aclosing(stream):
            async for said in stream:
                if isinstance(said, dspy.Prediction):
                    prediction = said
                elif isinstance(said, StatusMessage):
                    tell(StatusText(text=said.message))
                else:
                    for token in ears.hear(said):
                        tell(token)
        for token in ears.rest():
            tell(token)
        assert prediction is not None, "a stream that ends well ends with a prediction"
        return prediction

    try:
        return asyncio.run(listen())
    except Exception as error:
        # DSPy raises it "from None": what it came of tells a provider's failure from a program's.
        raise error from next(iter(failed), None)


def _into_this_loop(module: dspy.Module, failed: list[BaseException]) -> Callable[..., Any]:
    loop = asyncio.get_running_loop()

    def run(**inputs: Any) -> Any:
        try:
            with dspy.context(send_stream=_Mouth(dspy.settings.send_stream, loop)):
                return module(**inputs)
        except Exception as error:
            failed.extend([error.__cause__] if error.__cause__ else [])
            raise

    return run


class _Mouth:
    """DSPy's stream, as a program sends to it from whatever loop it runs in.

    DSPy's own belongs to the loop of whoever hears it: sent to from another, it would wait forever once it is full.
    """

    def __init__(self, stream: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._stream = stream
        self._loop = loop

    async def send(self, said: Any) -> None:
        """Send, and wait while the stream is full."""
        if asyncio.get_running_loop() is self._loop:
            await self._stream.send(said)
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._stream.send(said), self._loop))


class _Ears:
    """A listener for each output field of each predictor.

    They are given a chunk word by word: a field that begins and ends within one chunk is one that DSPy's listeners
    leave out, and providers send chunks of many words.
    """

    def __init__(self, module: dspy.Module) -> None:
        adapter = dspy.settings.adapter or dspy.ChatAdapter()
        self._listeners: dict[int, list[StreamListener]] = {}
        if type(adapter).__name__ in _HEARD:
            for name, predictor in module.named_predictors():
                self._listeners[id(predictor)] = [
                    StreamListener(field, predict=predictor, predict_name=name, allow_reuse=True)
                    for field in predictor.signature.output_fields
                ]

    def hear(self, chunk: Any) -> list[Token]:
        """The tokens of a chunk."""
        listeners = self._listeners.get(getattr(chunk, "predict_id", None) or 0, [])
        told: list[Token] = []
        for piece in _pieces(chunk) if listeners else ():
            told += [_token(said) for each in listeners if (said := each.receive(piece))]
        return told

    def rest(self) -> list[Token]:
        """What the listeners hold back when all is said."""
        listeners = [each for several in self._listeners.values() for each in several]
        return [_token(said) for each in listeners if (said := each.finalize())]


def _pieces(chunk: Any) -> list[Any]:
    try:
        text = chunk.choices[0].delta.content
    except (AttributeError, IndexError):
        return [chunk]
    if not text:
        return [chunk]
    pieces = []
    for part in _PIECE.findall(text):
        piece = type(chunk)(chunk)
        choice = type(chunk.choices[0])(chunk.choices[0])
        choice["delta"] = type(choice.delta)(choice.delta | {"content": part})
        piece["choices"] = [choice]
        pieces.append(piece)
    return pieces


def _token(said: StreamResponse) -> Token:
    text = said.chunk if isinstance(said.chunk, str) else str(said.chunk)
    return Token(field=said.signature_field_name, text=text, predictor=said.predict_name, last=said.is_last_chunk)
