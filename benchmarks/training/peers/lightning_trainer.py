"""Lightning's Trainer as in its docs on transfer learning: the frozen part in eval mode and under no_grad.

Its loaders are torch's. Logging to disk, checkpoints and the progress bar are off, which only makes it faster. `fast`
is precision="bf16-mixed" and a network in channels_last.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import nn

from benchmarks.training import folders, network
from benchmarks.training.job import Job, digest, read_job
from benchmarks.training.record import Record
from contract import models


class Classifier(lightning.LightningModule):
    """A backbone without its head, and the head."""

    def __init__(self, model: nn.Module, job: Job) -> None:
        super().__init__()
        self.head = models.head_of(model)
        models.attach_head(model, nn.Identity(), models.head_name(model))
        self.backbone, self.job = model, job
        if job.frozen:
            self.backbone.eval()

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        inputs = pictures.contiguous(memory_format=torch.channels_last) if self.job.fast else pictures
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.job.frozen):
            features = self.backbone(inputs)
        result: torch.Tensor = self.head(features)
        return result

    def training_step(self, batch: Any, *_: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: Any, *_: int) -> None:
        self._log("valid_top1", batch)

    def test_step(self, batch: Any, *_: int) -> None:
        self._log("test_top1", batch)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(network.learning(self), lr=self.job.rate, momentum=0.9, weight_decay=1e-4)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.job.epochs)]

    def _log(self, name: str, batch: Any) -> None:
        hits = (self(batch[0]).argmax(dim=1) == batch[1]).float().mean()
        self.log(name, hits, batch_size=len(batch[1]), on_epoch=True, on_step=False)


class Stopwatch(lightning.Callback):
    """Connects the trainer's hooks to the record."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def on_train_epoch_start(self, *_: Any) -> None:
        self.record.begin()

    def on_train_batch_end(self, _trainer: Any, _module: Any, outputs: Any, *_: Any) -> None:
        self.record.step(float(outputs["loss"]))

    def on_validation_start(self, *_: Any) -> None:
        self.record.trained()

    def on_validation_end(self, *_: Any) -> None:
        self.record.validated()

    def on_test_end(self, *_: Any) -> None:
        self.record.tested()


def main(job: Job) -> None:
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    begun = network.start(job)
    if job.frozen:
        network.freeze(begun.model)
    if job.fast:
        begun.model.to(memory_format=torch.channels_last)
    module, record = Classifier(begun.model, job), Record()
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=job.epochs,
        precision="bf16-mixed" if job.fast else "32-true",
        callbacks=[Stopwatch(record)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=job.output,
    )
    loaders = folders.loaders(job, begun)
    trainer.fit(module, loaders["train"], loaders["valid"])
    top1 = trainer.callback_metrics["valid_top1"].item()
    if job.has_test:
        top1 = trainer.test(module, loaders["test"], verbose=False)[0]["test_top1"]
    models.attach_head(module.backbone, module.head, "fc")
    network.save(module.backbone, job)
    files = digest(path for path, _ in loaders["train"].dataset.samples)
    record.outcome(trained=network.count(network.learning(module)), files=files, top1=top1).write(job.output)


if __name__ == "__main__":
    main(read_job(Path(sys.argv[1])))
