"""The training loop: batch after batch, scored on the dev set, the best state kept."""

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from toolkit.cli import log
from toolkit.training.batches import batches


class ParameterAverage:
    """A running average of parameters, which scores better than any one step of a noisy training.

    Polynomial-decay averaging (Shamir and Zhang 2013, section 4): of about the last 1 / (η + 1) of all steps.
    """

    EVERY = 10  # steps between two that count: where words are trained, averaging takes as long as a step

    def __init__(self, parameters: Iterable[nn.Parameter], eta: int):
        """Begin with the parameters as they are."""
        self.parameters, self.eta, self.steps = [each.data for each in parameters], eta, 0
        self.average = [each.clone() for each in self.parameters]

    def update(self) -> None:
        """Count a step."""
        self.steps += 1
        if self.steps % self.EVERY == 0 or self.steps < self.EVERY:
            counted = self.steps // self.EVERY
            weight = (self.eta + 1) / (counted + self.eta) if self.steps > self.EVERY else 1.0
            for average, parameter in zip(self.average, self.parameters, strict=True):
                average.lerp_(parameter, weight)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average in the parameters' place for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for average, parameter in zip(self.average, self.parameters, strict=True):
            held = parameter.clone()
            parameter.copy_(average)
            average.copy_(held)


class BestState:
    """The state of modules that scored best."""

    def __init__(self, modules: nn.Module):
        """Begin without a score."""
        self.modules, self.score, self.state = modules, -math.inf, dict[str, Any]()

    def offer(self, score: float) -> bool:
        """Keep the present state if `score` is the best so far; return whether it is better than all before.

        Of equal ones the first is kept, but of perfect ones the last, which is surer of its answers.
        """
        better = score > self.score
        if better or score == 1:
            self.score, self.state = score, copy.deepcopy(self.modules.state_dict())
        return better

    def restore(self) -> None:
        """Give the modules their best state back."""
        self.modules.load_state_dict(self.state)


def fit(
    modules: nn.Module,
    loss: Callable[[Tensor], Tensor],
    dev_score: Callable[[], float],
    *,
    lengths: Tensor,
    batch: int,
    optimizers: Sequence[torch.optim.Optimizer],
    epochs: int,
    checks: int,
    averaging: int | None,
    quiet: bool,
    patience: int | None = None,
) -> bool:
    """Train `modules`, then restore the state with the best `dev_score`.

    `loss` returns that of some rows (int64) of the training data, whose sentences have `lengths`; a `batch` has up to
    that many. The dev score is taken `checks` times in each epoch, of a ParameterAverage whose η is `averaging`, or,
    if None, of the parameters. After `patience` epochs without a better one training ends; None: after all of them.
    Returns whether Ctrl-C ended the training early, with the best state so far; before the first score it is a
    KeyboardInterrupt still.
    """
    best, best_epoch, interrupted = BestState(modules), 0, False
    average = ParameterAverage(modules.parameters(), averaging) if averaging is not None else None
    steps = math.ceil(len(lengths) / batch)
    checked_after = {steps * number // checks for number in range(1, checks + 1)}
    modules.train()
    with tqdm(total=epochs * steps, unit="batch", disable=True if quiet else None) as progress:
        try:
            for epoch in range(1, epochs + 1):
                total, scores = 0.0, []
                for step, rows in enumerate(batches(lengths, batch), 1):
                    total += _step(loss(rows), optimizers)
                    if average:
                        average.update()
                    progress.update()
                    if step in checked_after:
                        modules.eval()
                        with average.applied() if average else contextlib.nullcontext():
                            scores.append(dev_score())
                            if best.offer(scores[-1]):
                                best_epoch = epoch
                        modules.train()
                        progress.set_postfix_str(f"dev {scores[-1]:.4f}, best {best.score:.4f}")
                if not quiet:
                    line = " ".join(f"{score:.4f}" for score in scores)
                    progress.write(f"epoch {epoch}  loss {total / steps:.4f}  dev {line}")
                if patience is not None and epoch - best_epoch >= patience:
                    break
        except KeyboardInterrupt:
            if not best.state:
                raise
            interrupted = True
            log("stopped; the best so far is kept")
    best.restore()
    modules.eval()
    return interrupted


def _step(loss: Tensor, optimizers: Sequence[torch.optim.Optimizer]) -> float:
    """Move the parameters against the gradient of `loss`; return it."""
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss.item()
