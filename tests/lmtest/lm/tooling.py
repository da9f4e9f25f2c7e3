"""A tool, recorded and replayed, as most tests of tools begin."""

import lmtest


class Unknown(Exception):
    """An error with a constructor of its own."""

    def __init__(self, city, *, hint):
        super().__init__(f"{city}? {hint}")
        self.hint = hint


def weather(answer=lambda city, unit: f"{city}: 20 {unit}", **options):
    """A tool, and what it was called with."""
    calls = []

    @lmtest.tool(**options)
    def weather(city: str, unit: str = "C") -> str:
        """Tell the weather of a city."""
        calls.append((city, unit))
        return answer(city, unit)

    return weather, calls


def record(function, *calls, path="tools.yaml", mode="record", **options):
    with lmtest.use_cassette(path, mode=mode, **options) as cassette:
        return [function(*each) for each in calls], cassette


def replay(function, *calls, path="tools.yaml", **options):
    return record(function, *calls, path=path, mode="replay", **options)


def never(*_args):
    raise AssertionError("the tool was called")
