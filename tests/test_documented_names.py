"""No public name, option, setting or variable without a page that says what it is."""

import functools
import inspect
import re
from dataclasses import fields

import click
import pytest

import lmtest
import lmtest.testing
from lmtest.cli import cli as lmtest_command
from lmtest.pytest_plugin.options import declare
from lmtest.pytest_plugin.wishes import Wishes
from lmtest.settings import Settings
from python_worker.__main__ import cli as worker_command

from .pages import PAGES, ROOT


def commands(command, path):
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), f"{path} {name}")


COMMANDS = dict([*commands(lmtest_command, "lmtest"), *commands(worker_command, "python -m python_worker")])


def is_on(text, name):
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_of_a_command_stands_on_a_page_that_names_the_command(path):
    pages = [text for text in PAGES.values() if path in text]
    options = [each for each in COMMANDS[path].params if isinstance(each, click.Option) and not each.hidden]
    assert pages
    assert [each for each in options if not any(is_on(text, max(each.opts, key=len)) for text in pages)] == []


@functools.cache
def everything():
    return "\n".join(PAGES.values())


@pytest.mark.parametrize("name", lmtest.__all__)
def test_every_public_name_stands_on_the_page_of_python(name):
    assert re.search(rf"(?:`|── |    ){name}\b", PAGES["python.md"])


@pytest.mark.parametrize("name", lmtest.testing.__all__)
def test_every_name_for_tests_stands_on_the_page_of_the_plugin(name):
    assert is_on(PAGES["pytest.md"], name)


def test_every_argument_of_use_cassette_and_of_the_marker_stands_on_a_page():
    arguments = {*inspect.signature(lmtest.use_cassette).parameters, *(each.name for each in fields(Wishes))}
    assert {name for name in arguments if not re.search(rf"\b{name}\b", everything())} == set()


def test_every_setting_stands_on_a_page():
    assert [name for name in Settings.model_fields if f"`{name}`" not in everything()] == []


def test_every_flag_and_ini_setting_of_the_plugin_stands_on_its_page():
    declared = re.findall(r"add(?:option|ini)\(\s*\"([\w-]+)\"", inspect.getsource(declare))
    assert len(declared) > 10
    assert [name for name in declared if not is_on(PAGES["pytest.md"], name)] == []


def test_every_variable_that_is_read_stands_on_the_page_of_variables():
    sources = [path for package in ("lmtest", "python_worker") for path in (ROOT / package).rglob("*.py")]
    code = "\n".join(path.read_text() for path in sources)
    read = set(re.findall(r'environ(?:\.get\(|\[)"(\w+)"|"(\w+)" (?:not )?in os\.environ', code))
    names = {name for pair in read for name in pair if name}
    assert "NO_COLOR" in names
    assert {name for name in names if not is_on(PAGES["variables.md"], name)} == set()
