"""What rings, for whom, what it looks at, and what it costs."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from inference import log_line
from tests.aws.alarms import rings, share, substituted
from tests.aws.test_template import sent
from tests.aws_strict.templates import PSEUDO, resolve
from tests.conftest import ROOT, Cloud
from tests.stacks import DEPLOY, SENTENCE, call, printed
from toolkit.deployment import template
from utils.estimate_cost import ALARM_METRICS_OF_FRONT, ALARM_METRICS_OF_MODEL

TOLD = {"AlarmEmail": "on-call@example.org"}
EACH = ("Errors", "NearBound", "ReadThrottles", "Throttles")  # of a model
GERMAN = """
der Film ist leider viel zu lang und nach einer Stunde wird er furchtbar langweilig
die Schauspieler geben sich große Mühe, aber das Drehbuch lässt sie völlig allein
selten habe ich im Kino so herzlich gelacht wie an diesem Abend
wunderschöne Bilder, eine kluge Geschichte und ein Ende, das niemand kommen sieht
wer den ersten Teil mochte, wird auch an diesem seine Freude haben
schade um das Geld, das man dafür an der Kasse bezahlt
ein stilles, trauriges Stück über zwei Brüder, die nicht mehr miteinander reden
die Musik war das Beste daran, alles andere habe ich schon wieder vergessen
meine Kinder waren begeistert und wollten gleich noch einmal hinein
man merkt jeder Szene an, dass hier niemand wusste, wohin die Reise gehen soll
nach der Pause wurde es besser, doch da schlief mein Nachbar längst
so spannend, dass ich vergessen habe, mein Eis zu essen
""".strip().splitlines()


def alarms(values: dict[str, str]) -> dict[str, dict[str, Any]]:
    resources = resolve(sent(values), values)["Resources"]
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == "AWS::CloudWatch::Alarm"}


def of(*models: str, metrics: bool = False, leaving: str = "", urls: bool = False) -> set[str]:
    """Return the names of the alarms that there are for somebody, with function URLs or with an API."""
    front = ["ServerErrors", "Latency"]
    each = [*EACH, *(["UnknownWords"] if metrics else []), *(front if urls else [])]
    return {*([] if urls else front), *(f"{model}{name}" for model in models for name in each)} - {leaving}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, set()),
        ({"Metrics": "on"}, set()),
        (TOLD, of("SmCnn", "KimCnn")),
        ({"AlarmTopic": "arn:aws:sns:us-east-1:1:t"}, of("SmCnn", "KimCnn")),
        ({**TOLD, "KimCnnTable": "word-vectors"}, of("SmCnn", "KimCnn", leaving="KimCnnReadThrottles")),  # one table
        ({**TOLD, "DeploySmCnn": "false", "Metrics": "on"}, of("KimCnn", metrics=True)),
        ({**TOLD, "DeploySmCnn": "false", "Concurrency": "0"}, of("KimCnn", leaving="KimCnnNearBound")),
        ({**TOLD, "Front": "function-url"}, of("SmCnn", "KimCnn", urls=True)),
        ({"Canary": "Canary10Percent5Minutes"}, {"ServerErrors", "SmCnnErrors", "KimCnnErrors"}),
        (
            {"Canary": "Canary10Percent5Minutes", "Front": "function-url", "DeploySmCnn": "false"},
            {"KimCnnServerErrors", "KimCnnErrors"},
        ),
    ],
)
def test_alarms_are_there_where_somebody_is_told_or_a_canary_is_taken_back(
    values: dict[str, str], expected: set[str]
) -> None:
    assert alarms(values).keys() == expected
    for alarm in alarms(values).values():
        topic = "AlarmTopic" if "AlarmTopic" in values else "AlarmMails"
        assert alarm["AlarmActions"] == [{"Ref": topic}]
        assert topic == "AlarmTopic" or "AlarmMails" in resolve(sent(values), values)["Resources"]


def test_each_alarm_has_its_paragraph_in_the_runbook() -> None:
    text = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    kinds = {name.removeprefix("SmCnn").removeprefix("KimCnn") for name in alarms({**TOLD, "Metrics": "on"})}
    assert kinds <= set(re.findall(r"(?m)^### `(\w+)`", text))


@pytest.mark.parametrize(
    ("models", "fronts", "values"),
    [
        (1, 1, {"DeploySmCnn": "false"}),
        (2, 1, {"KimCnnTable": "other"}),
        (1, 1, {"DeploySmCnn": "false", "Front": "function-url"}),
        (2, 2, {"KimCnnTable": "other", "Front": "function-url"}),
    ],
)
def test_the_estimate_counts_the_metrics_of_the_alarms(models: int, fronts: int, values: dict[str, str]) -> None:
    found = alarms({**TOLD, "Metrics": "on", **values}).values()
    metrics = [
        each for alarm in found for each in alarm.get("Metrics", [{"MetricStat": alarm}]) if "MetricStat" in each
    ]
    assert len(metrics) == ALARM_METRICS_OF_FRONT * fronts + ALARM_METRICS_OF_MODEL * models


def test_behind_function_urls_the_alarms_look_at_what_lambda_counts() -> None:
    found = alarms({**TOLD, "Front": "function-url"})
    metrics = [each["MetricStat"]["Metric"] for each in found["KimCnnServerErrors"]["Metrics"] if "MetricStat" in each]
    assert {metric["MetricName"] for metric in metrics} == {"Url5xxCount", "UrlRequestCount"}
    for metric in (*metrics, found["KimCnnLatency"]):
        assert metric["Namespace"] == "AWS/Lambda"
        assert metric["Dimensions"][0] == {"Name": "FunctionName", "Value": {"Ref": "KimCnnFunction"}}
    assert found["KimCnnLatency"]["MetricName"] == "Duration"


def filled(values: dict[str, str], **options: bool) -> dict[str, Any]:
    content = template.read()
    template.fill(content, {}, template.parameter_values(content, {}, values), {}, **options)
    return resolve(content, values)


def test_a_function_without_a_reservation_has_no_alarm_about_it() -> None:
    content = filled(TOLD, reserves=False)
    assert "KimCnnNearBound" not in content["Resources"]
    assert "ReservedConcurrentExecutions" not in content["Globals"]["Function"]


def test_after_a_rollback_no_canary_shifts_traffic_but_the_next_one_can() -> None:
    resources = filled({"Canary": "Canary10Percent5Minutes"}, shifts=False)["Resources"]
    assert "UpdatePolicy" not in resources["KimCnnLive"]
    assert "KimCnnCanary" in resources


def test_what_alarms_and_dashboard_look_at_is_what_functions_log() -> None:
    text = json.dumps(resolve(sent({**TOLD, "Metrics": "on"}), {**TOLD, "Metrics": "on"})["Resources"])
    named = set(re.findall(rf'"Namespace": "{log_line.NAMESPACE}", "MetricName": "(\w+)"', text))
    assert named == {"unknown", "distinct"} <= log_line.METRICS.keys()


def joined(node: Any, names: dict[str, str]) -> str:
    """Return the text that Fn::Sub and Fn::Join make."""
    if isinstance(node, str):
        return node
    if "Fn::Join" in node:
        separator, parts = node["Fn::Join"]
        return str(separator).join(joined(part, names) for part in parts)
    text, own = node["Fn::Sub"] if isinstance(node["Fn::Sub"], list) else (node["Fn::Sub"], {})
    known = {**names, **{name: joined(value, names) for name, value in own.items()}}
    return re.sub(r"\$\{([\w:]+)\}", lambda found: known[found[1]], text)


@pytest.mark.parametrize(
    ("values", "models", "widgets"),
    [({}, 2, 8), ({"DeploySmCnn": "false"}, 1, 5), ({"Front": "function-url"}, 2, 8)],
)
def test_the_dashboard_is_json_with_the_metrics_of_the_models_that_are_there(
    values: dict[str, str], models: int, widgets: int
) -> None:
    resources = resolve(sent({**TOLD, **values}), {**TOLD, **values})["Resources"]
    names = {**PSEUDO, "Api": "a", "SmCnnFunction": "sm", "KimCnnFunction": "kim", "Concurrency": "20"}
    names |= {"SmCnnTable": "words", "KimCnnTable": "words"}
    body = json.loads(joined(resources["Dashboard"]["Properties"]["DashboardBody"], names))
    assert len(body["widgets"]) == widgets
    text = json.dumps(body)
    assert ('"sm"' in text, '"kim"' in text) == (models == 2, True)
    front = ("Url5xxCount", "UrlRequestLatency") if "Front" in values else ("5xx", "Latency")
    for metric in (*front, "Errors", "Throttles", "ConcurrentExecutions", "ReadThrottleEvents", "unknown"):
        assert f'"{metric}"' in text


def test_a_budget_tells_at_three_shares_and_needs_somebody_to_tell() -> None:
    values = {**TOLD, "MonthlyBudget": "20"}
    content = resolve(sent(values), values)
    told = content["Resources"]["Budget"]["Properties"]["NotificationsWithSubscribers"]
    assert [each["Notification"]["Threshold"] for each in told] == [50, 80, 100]
    assert all(
        each["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": {"Ref": "AlarmEmail"}}] for each in told
    )
    assert "Budget" not in resolve(sent({}), {})["Resources"]
    assert "MonthlyBudget needs" in json.dumps(content["Rules"]["BudgetTellsSomebody"])


def test_a_canary_shifts_the_alias_that_the_api_calls_once_the_first_request_is_answered() -> None:
    values = {"Canary": "Canary10Percent5Minutes"}
    resources = resolve(sent(values), values)["Resources"]
    for model in ("SmCnn", "KimCnn"):
        live, group = resources[f"{model}Live"], resources[f"{model}Canary"]["Properties"]
        assert live["DependsOn"] == f"{model}FirstRequest"
        policy = live["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert policy == {
            "ApplicationName": {"Ref": "CanaryApplication"},
            "DeploymentGroupName": {"Ref": f"{model}Canary"},
        }
        watching = {each["Name"]["Ref"] for each in group["AlarmConfiguration"]["Alarms"]}
        assert watching == {"ServerErrors", f"{model}Errors"} <= alarms(values).keys()
        assert resources[f"{model}Integration"]["Properties"]["IntegrationUri"] == {"Ref": f"{model}Live"}
        behind_url = filled({**values, "Front": "function-url"})["Resources"][f"{model}Canary"]["Properties"]
        assert {"Name": {"Ref": f"{model}ServerErrors"}} in behind_url["AlarmConfiguration"]["Alarms"]
    assert "UpdatePolicy" not in resolve(sent({}), {})["Resources"]["KimCnnLive"]


def test_tracing_is_a_permission_too() -> None:
    for tracing, mode in (("on", "Active"), ("off", "PassThrough")):
        content = resolve(sent({"Tracing": tracing}), {"Tracing": tracing})
        assert content["Globals"]["Function"]["Tracing"] == mode
        assert ("xray:PutTraceSegments" in json.dumps(content["Resources"]["KimCnnRole"])) == (tracing == "on")


# On the local cloud

STACK = "alarmed"


@pytest.fixture(scope="module")
def url(cloud: Cloud) -> Iterator[str]:
    """Where Kim CNN is served, with everything that tells."""
    tells = ("AlarmEmail=on-call@example.org", "MonthlyBudget=20", "Metrics=on", "Tracing=on",
             "Canary=Canary10Percent5Minutes")  # fmt: skip
    options = [word for each in tells for word in ("--parameter", each)]
    ran = cloud.run(DEPLOY, "up", "--stack", STACK, "--kim-cnn", cloud.packages["kim_cnn"], *options)
    yield printed(ran.stdout)["KimCnnUrl"]
    cloud.run(DEPLOY, "down", "--stack", STACK, "--yes")
    left = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=STACK)["MetricAlarms"]
    assert left == []


def test_up_makes_the_alarms_and_they_reach_the_mail_address(cloud: Cloud, url: str) -> None:
    assert call(url, SENTENCE)[0] == 200
    found = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=STACK)["MetricAlarms"]
    names = {each["AlarmName"].split("-")[1] for each in found}
    assert names == of("KimCnn", metrics=True)
    (topic,) = {action for each in found for action in each["AlarmActions"]}
    (subscription,) = cloud.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "on-call@example.org")
    dashboard = cloud.client("cloudwatch").get_dashboard(DashboardName=f"{STACK}-us-east-1")
    assert len(json.loads(dashboard["DashboardBody"])["widgets"]) == 5


def test_texts_of_another_language_ring_and_those_of_the_data_set_do_not(cloud: Cloud, url: str) -> None:
    resources = cloud.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    physical = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    values = {**TOLD, "DeploySmCnn": "false", "Metrics": "on"}
    content = sent(values)
    default = {"UnknownShare": content["Parameters"]["UnknownShare"]["Default"]}
    alarm = substituted(alarms(values)["KimCnnUnknownWords"], {**physical, **default})

    def replayed(texts: list[str]) -> list[dict[str, Any]]:
        """Return the lines in the function's log of requests with these texts."""
        for text in texts:
            assert call(url, {"input": text})[0] == 200
        events = cloud.client("logs").filter_log_events(logGroupName=physical["KimCnnLogs"], limit=10_000)["events"]
        lines = [json.loads(each["message"]) for each in events if each["message"].startswith('{"_aws"')]
        return lines[-len(texts) :]

    usual = replayed((ROOT / "data/demo_sentences.txt").read_text(encoding="utf-8").splitlines())
    foreign = replayed(GERMAN)
    print("unknown:", share(alarm, usual), share(alarm, foreign), share(alarm, usual[: len(foreign)] + foreign))
    assert not rings(alarm, [usual, usual, usual])
    assert not rings(alarm, [usual, foreign, usual]), "one caller's five minutes are no alarm"
    assert not rings(alarm, [[], [], foreign[:2]]), "nor are a few words"
    assert rings(alarm, [usual, foreign, foreign])
    half = usual[: len(foreign)] + foreign
    assert rings(alarm, [half, usual, half]), "nor need it be everybody"
