"""The alarms of the template, evaluated as CloudWatch does: by period, with their own expression and threshold."""

from collections.abc import Mapping, Sequence
from typing import Any

Line = Mapping[str, Any]  # of a function's log, in CloudWatch's embedded metric format


def substituted(node: Any, names: Mapping[str, Any]) -> Any:
    """Return a part of a template with its `Ref`s replaced, as far as `names` has them."""
    if isinstance(node, dict):
        return names.get(node["Ref"], node) if "Ref" in node else {k: substituted(v, names) for k, v in node.items()}
    return [substituted(item, names) for item in node] if isinstance(node, list) else node


def values(line: Line, metric: Mapping[str, Any]) -> list[float]:
    """Return what a line gives a metric: nothing when it embeds no metric of that namespace, name and dimensions."""
    wanted = {each["Name"]: each["Value"] for each in metric.get("Dimensions", [])}
    found = []
    for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
        names = {each["Name"] for each in directive["Metrics"]}
        dimensions = [{name: line[name] for name in each} for each in directive["Dimensions"]]
        if directive["Namespace"] == metric["Namespace"] and metric["MetricName"] in names and wanted in dimensions:
            found.append(float(line[metric["MetricName"]]))
    return found


def share(alarm: Mapping[str, Any], lines: Sequence[Line]) -> float | None:
    """Return what the expression of an alarm on sums is for the lines of one period, None without data."""
    sums, expression = {}, ""
    for each in alarm["Metrics"]:
        if "Expression" in each:
            expression = each["Expression"]
            continue
        assert each["MetricStat"]["Stat"] == "Sum"
        found = [value for line in lines for value in values(line, each["MetricStat"]["Metric"])]
        if not found:
            return None
        sums[each["Id"]] = sum(found)
    return float(eval(expression, {"IF": lambda test, yes, no: yes if test else no}, sums))


def rings(alarm: Mapping[str, Any], periods: Sequence[Sequence[Line]]) -> bool:
    """Return whether an alarm rings after the last of these periods; those before them have no data."""
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("GreaterThanThreshold", "notBreaching")
    shares = [share(alarm, lines) for lines in periods[-int(alarm["EvaluationPeriods"]) :]]
    over = [value for value in shares if value is not None and value > float(alarm["Threshold"])]
    return len(over) >= int(alarm["DatapointsToAlarm"])
