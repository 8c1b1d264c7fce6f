"""The schedule of a report, from the times in its records."""

from dataclasses import replace

import pytest

from reports.campaign.run import run_campaign
from reports.campaign.settle import settle as settled
from tests.reports.campaign import toy
from tests.schedule import Piece, bound, by_queue, by_shards, measured_pieces

PIECES = [Piece(str(number), seconds) for number, seconds in enumerate((4.0, 1.0, 1.0, 2.0, 3.0))]


@pytest.mark.parametrize(
    ("machines", "shards", "queue", "least"), [(1, 11, 11, 11), (2, 8, 7, 5.5), (3, 6, 4, 4), (9, 4, 4, 4)]
)
def test_schedules(machines, shards, queue, least):
    assert (by_shards(PIECES, machines), by_queue(PIECES, machines), bound(PIECES, machines)) == (shards, queue, least)


def test_a_part_takes_its_share_of_its_case(tmp_path, monkeypatch):
    for module in ("reports.campaign.run", "tests.schedule"):
        monkeypatch.setattr(f"{module}.CLAIMS", (toy.CUT_CLAIM,))
    monkeypatch.setattr("reports.campaign.run.train_part", lambda claim, case, context: 100.0)
    monkeypatch.setattr("reports.campaign.run.settle", lambda *a: replace(settled(*a), seconds=0.0))
    run_campaign(folder=tmp_path)
    *parts, tables = measured_pieces(tmp_path)
    assert [(part.name, part.seconds) for part in parts] == 3 * [("X2: cut", 100.0)]
    assert tables.name == "X2: tables"
