"""Nights of a suite under a budget that holds a tenth of it: what is refreshed, what is paid twice, what is red.

    python benchmarks/nights.py --cassettes 300 --nights 30 --seed 1

The provider rewords, changes, fails, slows and dies by seed, and refreshes are interrupted by SIGINT and SIGKILL: see
tests/lmtest/refresh/simulation.py, which the tests run for fewer cassettes and nights.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.lmtest.refresh.simulation import Simulation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cassettes", type=int, default=300)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lmtest-nights-") as folder:
        simulation = Simulation(Path(folder).resolve(), cassettes=arguments.cassettes, seed=arguments.seed)
        print(f"{arguments.cassettes} cassettes, ${simulation.budget:f} a night, seed {arguments.seed}")
        for number in range(1, arguments.nights + 1):
            night = simulation.run(number)
            print(
                f"night {number:>2}: exit {night.code:>3} {night.interrupted:<8} asked {night.asked:>3} good "
                f"{len(night.good):>3} waiting {night.waiting:>3} refreshed {len(simulation.refreshed):>3} of "
                f"{len(simulation.names)} {night.seconds:.1f} s {'; '.join(night.wrong)}",
                flush=True,
            )
            if number % 3 == 0:
                simulation.morning()
        whole, told = simulation.is_whole()
        after = sum(simulation.refreshed.get(name, 99) > 12 for name in simulation.names)
        print(f"refreshed after the 12th night: {after}, all failed by the provider before but {simulation.late()}")
        print(f"never refreshed: {simulation.never()}; every file whole: {whole} {'' if whole else told}")
        print(f"wrong: {sum(len(night.wrong) for night in simulation.nights)}")
        sys.exit(
            bool(simulation.late() or simulation.never())
            or not whole
            or any(night.wrong for night in simulation.nights)
        )


if __name__ == "__main__":
    main()
