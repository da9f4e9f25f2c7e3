"""``lmtest serve``: a stand-in provider on a local port."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import click

from lmtest import literal
from lmtest.errors import ConfigurationError
from lmtest.modes import Mode


@click.command()
@click.option("--mode", metavar="[mock]", default="mock", show_default=True, help="How requests are answered.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="The port; 0 takes a free one."
)
@click.option("--port-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the port here when ready.")
def command(mode: str, host: str, port: int, port_file: Path | None) -> None:
    """Serve the Gemini protocol with made-up answers until Ctrl-C or SIGTERM.

    Prints one line when ready. Any API key is accepted but "invalid".
    """
    chosen = Mode.parse(mode, source="--mode")
    if chosen is not Mode.MOCK:
        raise ConfigurationError(
            f"--mode {chosen.value!r} is not there yet for lmtest serve; it has 'mock': lmtest serve --mode mock"
        )
    from lmtest.http.server import StandIn

    with StandIn(host=host, port=port, keep_requests=False) as server:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: server.stop())
        if port_file is not None:
            _write_port(port_file, server.port)
        base = f"{server.url}/v1beta"
        literal.echo(f"lmtest serve: {server.url} (mock); set GEMINI_API_BASE={base}, or api_base={base!r}")
        server.wait()


def _write_port(path: Path, port: int) -> None:
    """Write the port so that a reader sees all of it or nothing."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(f"{port}\n", encoding="ascii")
        unfinished.replace(path)
    except OSError as error:
        raise ConfigurationError(f"--port-file {str(path)!r} cannot be written: {error.strerror or error}") from error
