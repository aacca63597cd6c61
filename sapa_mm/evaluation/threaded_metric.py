"""Base class of metrics that evaluate images in threads while the model runs."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mmengine.evaluator import BaseMetric


class ThreadedMetric(BaseMetric):
    """Base class of metrics that evaluate each image in a thread.

    A subclass implements ``prepare``, ``evaluate_image`` and ``compute_metrics``, which
    gets the results of all images in order, and from all processes in a distributed run.

    Args:
        num_workers (int): Threads. Defaults to 2.
        collect_device (str): See ``BaseMetric``. Defaults to 'cpu'.
        prefix (str, optional): See ``BaseMetric``. Defaults to None.

    Raises:
        ValueError: If num_workers is not positive.
    """

    def __init__(
        self, num_workers: int = 2, collect_device: str = 'cpu', prefix: str | None = None
    ):
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not isinstance(num_workers, int) or num_workers < 1:
            raise ValueError(
                f'{type(self).__name__}: num_workers must be a positive integer, got {num_workers}'
            )
        self.num_workers = num_workers
        self._workers: ThreadPoolExecutor | None = None

    def prepare(self, sample: dict) -> tuple:
        """Get the arguments of ``evaluate_image`` from a data sample, on the CPU."""
        raise NotImplementedError

    def evaluate_image(self, *prepared: Any) -> Any:
        """Evaluate an image, in a thread."""
        raise NotImplementedError

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Submit the images of a batch to the threads.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[dict]): See ``prepare``.
        """
        if self._workers is None:
            self._workers = ThreadPoolExecutor(self.num_workers)
        for sample in data_samples:
            image = sample.get('img_path', 'without a path')
            future = self._workers.submit(self._evaluate_named, image, self.prepare(sample))
            self.results.append(future)
        # Wait for older images, so that maps do not pile up and errors surface early.
        waiting = 4 * self.num_workers
        for result in self.results[-waiting - len(data_samples) : -waiting]:
            result.result()

    def evaluate(self, size: int) -> dict:
        """Wait for the threads, then collect the results of all processes; see ``BaseMetric``."""
        futures: list[Future] = self.results
        workers, self._workers, self.results = self._workers, None, []
        try:
            self.results = [future.result() for future in futures]
        finally:
            if workers is not None:
                workers.shutdown(cancel_futures=True)
        return super().evaluate(size)

    def _evaluate_named(self, image: str, prepared: tuple) -> Any:
        try:
            return self.evaluate_image(*prepared)
        except (FileNotFoundError, ValueError) as error:
            # Subclasses of these may take other arguments.
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
            raise kind(f'{type(self).__name__}: image {image}: {error}') from error
