"""Three servers that write one branch for an hour, in simulated time: how often a batch loses, and who gets their turn.

What a server does is what `Hosted` and the writer do: look and wait for its turn, decide, push; after a loss look, wait
for its turn, decide and push again. Times are those measured with a host on loopback, with a wide spread.
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Generator

import pytest

from jobserver.service.upstream.fairness import Turns
from tests.samples import first

LOOK, DECIDE, PUSH = 0.05, 0.02, 0.1  # seconds, in the middle
SPREAD = 0.6  # of their logarithm: one push in a hundred takes four times as long
POLL = 5.0
SERVERS, CLIENTS = 3, 4
BRANCH = "backends/tpp"

Steps = Generator[float, None, None]


class World:
    """The host's branch, a clock, and what is due when. A step yields the seconds until it goes on."""

    def __init__(self, seed: int, rest: float, away: float) -> None:
        self.random = random.Random(seed)
        self.rest, self.away = rest, away
        self.now = 0.0
        self.commits: list[str] = []
        self.losses: Counter[int] = Counter()
        self._due: list[tuple[float, int, Steps]] = []
        self._number = itertools.count()

    def takes(self, seconds: float) -> float:
        return seconds * self.random.lognormvariate(0, SPREAD)

    def begin(self, steps: Steps, after: float = 0) -> None:
        heapq.heappush(self._due, (self.now + after, next(self._number), steps))

    def run(self, seconds: float) -> None:
        while self._due and self.now < seconds:
            self.now, _, steps = heapq.heappop(self._due)
            if (left := next(steps, None)) is not None:
                self.begin(steps, left)


class Server:
    def __init__(self, world: World) -> None:
        self.world = world
        self.name = f"{world.random.getrandbits(32):08x}"
        self.turns = Turns(self.name)
        self.tip = 0  # how many commits it has seen
        self.waiting = 0
        self.is_busy = False
        world.begin(self.follow())
        for _ in range(CLIENTS):
            world.begin(self.ask())

    def ask(self) -> Steps:
        """One write of a client, who rests before it."""
        yield self.world.random.expovariate(1 / self.world.rest) if self.world.rest else 0.0
        self.waiting += 1
        if not self.is_busy:
            self.is_busy = True
            yield from self.serve()
            self.is_busy = False

    def serve(self) -> Steps:
        while self.waiting:
            yield from self.wait(is_lost=False)
            batch, self.waiting = self.waiting, 0
            lost = 0
            while not (yield from self.push()):
                lost += 1
                yield self.world.takes(LOOK + self.world.away)  # for what became of it
                yield from self.wait(is_lost=True)
            self.world.losses[lost] += 1
            for _ in range(batch):
                self.world.begin(self.ask())

    def push(self) -> Generator[float, None, bool]:
        """Decides on what it has seen, and pushes that; whether it landed."""
        base = self.tip
        yield self.world.takes(DECIDE)
        took = self.world.takes(PUSH + self.world.away)
        yield 0.7 * took
        landed = len(self.world.commits) == base
        if landed:
            self.world.commits.append(self.name)
        yield 0.3 * took
        self.turns.pushed(took)
        if landed:
            self.tip += 1
            self.turns.moved(BRANCH, [self.name], self.world.now)
        return landed

    def wait(self, is_lost: bool) -> Steps:
        while True:
            if is_lost or self.turns.is_shared(BRANCH, self.world.now):
                yield from self.look()
            left = self.turns.wait(BRANCH, self.world.now)
            if not left:
                return
            yield min(left, max(0.03, self.turns.window / 8))

    def look(self) -> Steps:
        took = self.world.takes(LOOK + self.world.away)
        yield 0.6 * took
        found = len(self.world.commits)
        yield 0.4 * took
        if found > self.tip:
            self.turns.moved(BRANCH, self.world.commits[self.tip : found], self.world.now)
            self.tip = found

    def follow(self) -> Steps:
        while True:
            yield POLL * self.world.random.random() + 0.01
            if not self.is_busy:
                yield from self.look()


@pytest.mark.parametrize("away", [0, 0.15], ids=["near", "far"])
@pytest.mark.parametrize("rest", [0, 4, 40], ids=["flat out", "a write a second each", "now and then"])
@pytest.mark.parametrize("seed", first(1, [1, 2]))
def test_batches_land_within_two_tries_and_everybody_gets_their_turn(seed: int, rest: float, away: float) -> None:
    """With a window of two pushes, 99.1% to 99.4% did where servers write a write a second: a push that lost, the look
    after it and the second push did not fit into one."""
    world = World(seed, rest, away)
    servers = [Server(world) for _ in range(SERVERS)]
    world.run(3600 if rest else 600)
    batches = world.losses.total()
    assert batches > 900
    assert world.losses[0] + world.losses[1] >= 0.996 * batches, world.losses
    written = Counter(world.commits)
    fair = len(world.commits) / SERVERS
    assert all(0.85 * fair < written[server.name] < 1.15 * fair for server in servers), written
