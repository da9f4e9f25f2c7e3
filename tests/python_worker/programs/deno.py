"""Deno, as DSPy's PythonInterpreter starts it and speaks to it; but it is no sandbox: code runs in this process."""

import contextlib
import io
import json
import sys


class Final(BaseException):
    """Carries what code submits out of it."""


def submit(output):
    raise Final(output)


def run(code):
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(code, "<code>", "exec"), {"SUBMIT": submit})
    except Final as final:
        return {"result": {"final": {"output": final.args[0]}}}
    except SyntaxError as error:
        return {"error": {"code": -32000, "message": str(error)}}
    except Exception as error:
        told = {"type": type(error).__name__, "args": [str(each) for each in error.args]}
        return {"error": {"code": -32099, "message": str(error), "data": told}}
    return {"result": {"output": said.getvalue()}}


def answers(command):
    if command == "--version":
        yield "deno 2.0.0"
    elif command == "info":
        yield '{"denoDir": null}'
    else:
        for asked in map(json.loads, sys.stdin):
            if asked["method"] == "shutdown":
                break
            yield json.dumps({"id": asked["id"]} | run(asked["params"]["code"]))


if __name__ == "__main__":
    for answer in answers(sys.argv[1]):
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
