"""Twelve nights of forty cassettes; `python benchmarks/nights.py` runs thirty of three hundred."""

import pytest

from .simulation import Simulation


@pytest.mark.timeout(900)  # twelve nights, each of several processes
@pytest.mark.parametrize("seed", [22])
def test_every_cassette_is_refreshed_within_twelve_nights_nothing_is_paid_twice_and_every_red_thing_is_red(
    tmp_path, seed
):
    simulation = Simulation(tmp_path, cassettes=40, seed=seed)
    for number in range(1, 13):
        night = simulation.run(number)
        assert night.wrong == [], f"night {number} {night.interrupted}"
        if number % 3 == 0:
            simulation.morning()
    assert simulation.late() == []
    whole, told = simulation.is_whole()
    assert whole, told
    assert {night.interrupted for night in simulation.nights} >= {"SIGINT", "SIGKILL", "dead"}, "the seed has them all"
