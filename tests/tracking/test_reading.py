"""Reading runs page by page."""

from types import SimpleNamespace

from mlflow.store.entities import PagedList

from edlae_sweeps.tracking.watch import pages


def run(number: int) -> SimpleNamespace:
    return SimpleNamespace(info=SimpleNamespace(run_id=str(number)))


class Client:
    """A store of three runs, to which one that comes first is added after the first page."""

    def __init__(self) -> None:
        self.runs = [run(1), run(2), run(3)]

    def search_runs(self, *_, max_results, page_token, **_keys):
        start = int(page_token or 0)
        page = self.runs[start : start + max_results]
        if start == 0:
            self.runs.insert(0, run(0))
        end = start + max_results
        return PagedList(page, str(end) if end < len(self.runs) else None)


def test_a_run_that_moves_to_the_next_page_is_read_once():
    assert [found.info.run_id for found in pages(Client(), ["1"], "", 2)] == ["1", "2", "3"]
