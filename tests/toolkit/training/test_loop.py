"""The training loop: every row once an epoch, the best state kept, of the average of the parameters when asked for."""

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from toolkit.training.loop import ParameterAverage, fit


class Counter(torch.nn.Module):
    """A module whose one parameter counts the steps of `fit`."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = torch.nn.Parameter(torch.zeros(()))

    def loss(self, rows: Tensor) -> Tensor:
        return -self.steps

    def fit(self, dev_score: Callable[[], float], *, averaging: int | None = None, epochs: int = 5) -> bool:
        optimizers = [torch.optim.SGD(self.parameters(), 1.0)]
        return fit(
            self, self.loss, dev_score, lengths=torch.ones(4), batch=2, optimizers=optimizers, epochs=epochs, checks=2,
            averaging=averaging, quiet=True,
        )  # fmt: skip


def interrupted_after(scores: list[float]) -> Callable[[], float]:
    """Return a dev score that is each of `scores` in turn; then comes Ctrl-C."""

    def each() -> Iterator[float]:
        yield from scores
        raise KeyboardInterrupt

    return each().__next__


def test_the_first_of_the_best_states_is_kept() -> None:
    module, scores = Counter(), iter([0.1, 0.5, 0.7, 0.6, 0.7, 0.2])
    assert module.fit(lambda: next(scores), epochs=3) is False
    assert module.steps.item() == 3
    assert not module.training


def test_ctrl_c_keeps_the_best_state_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    module = Counter()
    assert module.fit(interrupted_after([0.7, 0.9, 0.8])) is True
    assert module.steps.item() == 2
    assert "the best so far is kept" in capsys.readouterr().err


def test_ctrl_c_before_the_first_score_is_passed_on() -> None:
    with pytest.raises(KeyboardInterrupt):
        Counter().fit(interrupted_after([]))


def test_a_score_of_zero_is_a_score() -> None:
    module = Counter()
    assert module.fit(interrupted_after([0.0])) is True
    assert module.steps.item() == 1


def test_the_average_is_scored_and_kept_and_training_goes_on_from_the_parameters() -> None:
    module, seen = Counter(), []

    def score() -> float:
        seen.append(module.steps.item())
        return len(seen) if len(seen) < 20 else 0.0

    module.fit(score, averaging=3, epochs=10)
    assert seen[:9] == list(range(1, 10))  # too few steps for an average
    assert 10 < seen[-1] < 20
    assert module.steps.item() == seen[18]


@settings(deadline=None)
@given(
    rows=st.integers(1, 40), batch=st.integers(1, 12), epochs=st.integers(1, 3), checks=st.integers(1, 6)
)  # fmt: skip
def test_an_epoch_takes_every_row_once_and_as_many_scores_as_asked_for(
    rows: int, batch: int, epochs: int, checks: int
) -> None:
    module, taken, scores = Counter(), [], []

    def loss(each: Tensor) -> Tensor:
        assert module.training
        taken.append(each.tolist())
        return module.loss(each)

    def score() -> float:
        assert not module.training
        scores.append(len(taken))
        return 0.0

    optimizers = [torch.optim.SGD(module.parameters(), 1.0)]
    fit(
        module, loss, score, lengths=torch.ones(rows), batch=batch, optimizers=optimizers, epochs=epochs, checks=checks,
        averaging=None, quiet=True,
    )  # fmt: skip
    steps = -(-rows // batch)
    assert len(taken) == epochs * steps
    for epoch in range(epochs):
        found = [row for each in taken[epoch * steps : (epoch + 1) * steps] for row in each]
        assert sorted(found) == list(range(rows))
    assert len(scores) == epochs * min(checks, steps)
    assert scores[-1] == epochs * steps  # the end of an epoch is scored


def test_epochs_are_told_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    module = Counter()
    for quiet in (True, False):
        fit(
            module, module.loss, lambda: 0.25, lengths=torch.ones(4), batch=2,
            optimizers=[torch.optim.SGD(module.parameters(), 0.0)], epochs=2, checks=2, averaging=None, quiet=quiet,
        )  # fmt: skip
        told = capsys.readouterr().out.splitlines()
        expected = [f"epoch {epoch}  loss 0.0000  dev 0.2500 0.2500" for epoch in (1, 2)]
        assert [line.replace("-0.", "0.") for line in told] == ([] if quiet else expected)


@pytest.mark.parametrize("eta", [3, 10, 30])
def test_a_later_step_counts_more_by_the_power_of_eta(eta: int) -> None:
    parameter = torch.nn.Parameter(torch.zeros(()))
    average = ParameterAverage([parameter], eta)
    for value in range(1, 1001):
        parameter.data.fill_(value)
        average.update()
        if value == 3:
            with average.applied():
                assert parameter.item() == 3  # too few steps for an average
    with average.applied():
        assert parameter.item() == pytest.approx(1000 * (eta + 1) / (eta + 2), rel=0.01)  # ∫ t · t^η / ∫ t^η
    assert parameter.item() == 1000


@pytest.mark.parametrize(
    ("taken", "kept"),
    [([0.1, 0.2, 0.3, 0.3, 0.2, 0.3], 3), ([0.1, 0.2, 1.0, 1.0, 0.9, 1.0], 6)],  # of perfect ones the last
)
def test_training_ends_after_as_many_epochs_without_a_better_score_as_patience_says(
    taken: list[float], kept: int
) -> None:
    module, scores = Counter(), iter([*taken, 0.9])
    optimizers = [torch.optim.SGD(module.parameters(), 1.0)]
    fit(
        module, module.loss, lambda: next(scores), lengths=torch.ones(4), batch=4, optimizers=optimizers, epochs=10,
        checks=1, averaging=None, quiet=True, patience=3,
    )  # fmt: skip
    assert next(scores) == 0.9
    assert module.steps.item() == kept
