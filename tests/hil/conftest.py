"""Opens the bench that was asked for, once a run, and a panel on it for every test."""

from __future__ import annotations

import importlib
import pathlib
from typing import TYPE_CHECKING

import pytest
from hil.api import BenchMissingError, Setup, lacking
from hil.house import House
from hil.measure import Measurements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.api import Bench, Stand

STANDS = {"mock": "hil.mock_bench.stand", "virtual": "hil.virtual.stand", "real": "hil.real.stand"}
SHOWN = 6000


@pytest.fixture(scope="session")
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    """The bench of this run; skips with the reason where this machine cannot have it."""
    try:
        made = importlib.import_module(STANDS[request.config.getoption("--bench")]).make_stand(request.config)
    except BenchMissingError as error:
        pytest.skip(f"bench {request.config.getoption('--bench')}: {error}")
    yield made
    made.close()


@pytest.fixture
def house(request: pytest.FixtureRequest, stand: Stand, tmp_path: pathlib.Path) -> Iterator[House]:
    """Broker, link, desks and witness."""
    setup = _setup(request)
    missing = lacking(
        iter([ability for mark in request.node.iter_markers("needs") for ability in mark.args]), stand.can
    )
    if missing:
        pytest.skip(f"the {stand.name} bench has not {missing}")
    certificates = request.getfixturevalue("certificates") if setup.tls else None
    made = House(tmp_path / "house", setup, certificates)
    yield made
    made.close()


@pytest.fixture
def bench(request: pytest.FixtureRequest, stand: Stand, house: House, tmp_path: pathlib.Path) -> Iterator[Bench]:
    """A panel, armed, that its desk has heard of."""
    folder = tmp_path / "panel"
    folder.mkdir()
    with stand.open(house, folder, _setup(request)) as made:
        try:
            made.begin()
            if made.setup.reaches:
                house.desk.health(lambda health: health["online"])
        except BaseException:
            request.node.seen = _seen(request.node, made)  # before its power is taken away
            raise
        request.node.bench = made
        yield made
        request.node.bench = None


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What all chance of a test is drawn from; a failing test says it."""
    number: int = request.config.getoption("--bench-seed")
    return number


@pytest.fixture
def measure(request: pytest.FixtureRequest, stand: Stand) -> Measurements:
    """Records figures: `measure("press to relay", 0.004, "s", limit=1.0)`."""
    return Measurements(request, stand)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[pytest.TestReport]:
    """Attach what bench and house saw to a test that failed, or whose panel did not arm."""
    report = yield
    bench: Bench | None = getattr(item, "bench", None)
    if report.when == "call" and report.failed and bench is not None:
        item.seen = _seen(item, bench)  # type: ignore[attr-defined] - pytest lets a node carry what a plugin needs
    if texts := item.__dict__.pop("seen", None):
        _attach(item, report, texts)
    return report


def _seen(item: pytest.Item, bench: Bench) -> dict[str, str]:
    """All that there is to see; what cannot be had says why, and nothing else is lost by it."""
    texts = {"seed.txt": f"--bench-seed {item.config.getoption('--bench-seed')}\n"}
    for who, whose in (("house", bench.house.attachments), ("bench", bench.attachments)):
        try:
            texts |= whose()
        except Exception as error:  # noqa: BLE001 - the outermost frame of whatever a broken bench does
            texts[f"{who}-attachments-failed.txt"] = f"{type(error).__name__}: {error}"
    return texts


def _attach(item: pytest.Item, report: pytest.TestReport, texts: dict[str, str]) -> None:
    out = item.config.getoption("--bench-out")
    for name, text in texts.items():
        report.sections.append((name, text[-SHOWN:]))
        if out:
            folder = pathlib.Path(out) / item.name.replace("/", "_")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


def _setup(request: pytest.FixtureRequest) -> Setup:
    mark = request.node.get_closest_marker("panel")
    return mark.args[0] if mark else Setup()
