"""Metrics out of log lines."""

from localcloud.sagemaker.training.metrics import MetricScanner, metric


def test_every_metric_keeps_its_values_and_text_is_ignored() -> None:
    definitions = [{"Name": "loss", "Regex": "loss=(\\S+)"}, {"Name": "top1", "Regex": "top1=([0-9.]+)"}]
    scanner = MetricScanner([metric(definition) for definition in definitions])
    scanner.scan("epoch 1 loss=0.5 top1=0.1")
    scanner.scan("loss=nothing")
    assert scanner.scan("loss=0.25") == {"loss": 0.25}
    assert [scanner.history(name) for name in ("loss", "top1", "other")] == [[0.5, 0.25], [0.1], []]


def test_of_several_values_in_a_line_the_last_counts_and_a_pattern_without_group_is_the_value() -> None:
    scanner = MetricScanner([metric({"Name": "any", "Regex": "[0-9]+"})])
    assert scanner.scan("1 then 2") == {"any": 2.0}
    assert scanner.history("any") == [2.0]
