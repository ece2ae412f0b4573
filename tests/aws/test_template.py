"""What is sent to CloudFormation is what is linted, each way its parameters can decide its conditions."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference.settings import Settings
from tests.aws_strict import rules
from tests.aws_strict.call import Call, History
from tests.aws_strict.templates import resolve, statements
from tests.conftest import ROOT
from toolkit.cli import CommandError
from toolkit.deployment import template

ALL = {"sm_cnn": "s3://packages/serverless-inference/sm", "kim_cnn": "s3://packages/serverless-inference/kim"}
WAYS: dict[str, dict[str, str]] = {
    "both models": {},
    "one model, tokens, no concurrency reserved": {
        "DeploySmCnn": "false",
        "Concurrency": "0",
        "Auth": "jwt",
        "JwtIssuer": "https://i",
        "JwtAudience": "a",
    },
    "the other, signed, with a page and SnapStart": {
        "DeployKimCnn": "false",
        "Page": "true",
        "SnapStart": "on",
        "Auth": "iam",
        "Canary": "Linear10PercentEvery1Minute",
    },
    "function URLs": {
        "Front": "function-url",
        "AlarmEmail": "on-call@example.org",
        "Canary": "Canary10Percent5Minutes",
    },
    "a function URL, signed, and no API": {"Front": "function-url", "Auth": "iam", "DeployKimCnn": "false"},
    "all that tells": {
        "Batch": "on",
        "AlarmEmail": "on-call@example.org",
        "MonthlyBudget": "20",
        "Metrics": "on",
        "Tracing": "on",
        "Canary": "Canary10Percent10Minutes",
        "KimCnnTable": "other",
    },
}


def sent(values: dict[str, str]) -> dict[str, Any]:
    """Return the template as utils/deploy.py hands it over and SAM CLI sends it, which puts code into a bucket."""
    content = template.read()
    filled = template.parameter_values(content, {}, values)
    packages = {m: uri for m, uri in ALL.items() if filled[f"Deploy{template.MODELS[m]}"] == "true"}
    template.fill(content, packages, filled, {"kim_cnn": {"kim-vectors", "table-before"}})
    content["Resources"]["FirstRequestFunction"]["Properties"]["Code"] = {"S3Bucket": "packages", "S3Key": "first"}
    return content


def lint(text: str, file: Path) -> None:
    file.write_text(text)
    program = str(Path(sys.executable).parent / "cfn-lint")
    command = [program, "--regions", "us-east-1", "eu-central-1", "--template", str(file)]
    ran = subprocess.run(command, text=True, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("way", WAYS)
def test_what_is_sent_passes_lint_with_its_conditions_decided(tmp_path: Path, way: str) -> None:
    content = sent(WAYS[way])
    lint(json.dumps(resolve(content, WAYS[way])), tmp_path / "template.json")
    for statement in statements(resolve(content, WAYS[way])):
        assert statement.get("Resource") != [], "IAM refuses a statement without a resource"


def test_what_is_sent_passes_lint_as_it_is(tmp_path: Path) -> None:
    lint(json.dumps(sent({})), tmp_path / "template.json")
    assert len(json.dumps(sent({}), indent=2)) < 1_048_576 / 10, "as SAM CLI has CloudFormation fetch it from a bucket"


@pytest.mark.parametrize("region", ["us-east-1", "ap-east-2"])
def test_snapstart_is_said_to_be_off_where_the_region_does_not_have_it(region: str) -> None:
    content = resolve(sent({"SnapStart": "on"}), {"SnapStart": "on", "AWS::Region": region})
    has = region == "us-east-1"
    assert content["Outputs"]["SnapStart"]["Value"] == ("on" if has else "off: this region does not offer it")
    assert content["Globals"]["Function"]["SnapStart"]["ApplyOn"] == ("PublishedVersions" if has else "None")


def test_a_stack_without_a_model_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(CommandError, match="neither model"):
        sent({"DeploySmCnn": "false", "DeployKimCnn": "false"})


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ("none", ("ANY /kim_cnn", "NONE", None)),
        ("iam", ("POST /kim_cnn", "AWS_IAM", None)),
        ("jwt", ("POST /kim_cnn", "JWT", {"Ref": "Authorizer"})),
    ],
)
def test_a_route_has_the_authorization_that_is_asked_for(auth: str, expected: tuple[Any, ...]) -> None:
    resources = resolve(template.read(), {"Auth": auth})["Resources"]
    route = resources["KimCnnRoute"]["Properties"]
    assert (route["RouteKey"], route["AuthorizationType"], route.get("AuthorizerId")) == expected
    assert ("Authorizer" in resources) == (auth == "jwt")
    methods = {item["Properties"]["RouteKey"] for item in resources.values() if item["Type"].endswith("V2::Route")}
    if auth != "none":  # the gateway answers preflights only where no route has OPTIONS
        assert not [key for key in methods if key.startswith(("ANY", "OPTIONS"))]
    assert "authorization" in resources["Api"]["Properties"]["CorsConfiguration"]["AllowHeaders"]


@pytest.mark.parametrize("auth", ["none", "iam"])
def test_a_function_url_takes_the_place_of_the_api(auth: str) -> None:
    values = {"Front": "function-url", "Auth": auth, "AllowedOrigin": "https://example.org"}
    content = resolve(template.read(), values)
    resources, of_api = content["Resources"], template.read()["Resources"]["Api"]["Properties"]["CorsConfiguration"]
    assert not [name for name, item in resources.items() if item["Type"].startswith("AWS::ApiGateway")]
    url = resources["KimCnnUrl"]
    assert (url["Properties"]["Qualifier"], url["DependsOn"]) == ("live", "KimCnnLive")
    assert url["Properties"]["AuthType"] == {"none": "NONE", "iam": "AWS_IAM"}[auth]
    cors = url["Properties"]["Cors"]
    assert cors["AllowOrigins"] == [{"Ref": "AllowedOrigin"}]
    assert cors["AllowHeaders"] == of_api["AllowHeaders"], "signatures and tokens among them"
    assert max(map(len, cors["AllowMethods"])) <= 6, "Lambda takes no longer names, OPTIONS among them"
    variables = content["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["CORS_ALLOW_ORIGIN"] == "", "the URL adds its headers to the function's, and browsers refuse two"
    permissions = [item["Properties"] for item in resources.values() if item["Type"] == "AWS::Lambda::Permission"]
    allowed = {
        (each["Action"], each["Principal"]) for each in permissions if each["FunctionName"]["Ref"] == "KimCnnLive"
    }
    both = {("lambda:InvokeFunctionUrl", "*"), ("lambda:InvokeFunction", "*")}
    assert allowed == (both if auth == "none" else set())
    for each in permissions:  # and nobody may call past the URL
        assert each.get("FunctionUrlAuthType") == "NONE" or each.get("InvokedViaFunctionUrl") is True
    assert content["Outputs"]["KimCnnUrl"]["Value"] == {"Fn::Sub": "${KimCnnUrl.FunctionUrl}kim_cnn"}


def test_tokens_are_refused_where_there_is_no_api() -> None:
    with pytest.raises(CommandError, match="Auth=jwt needs Front=http-api"):
        sent({"Front": "function-url", "Auth": "jwt", "JwtIssuer": "https://i", "JwtAudience": "a"})
    assert "Auth=jwt needs Front=http-api" in json.dumps(template.read()["Rules"]["TokensHaveAnApi"])


def test_a_group_that_api_gateway_logs_to_has_a_vended_name() -> None:
    """Any other makes API Gateway write it into a policy of the account that ends at 5,120 characters."""
    resources = template.read()["Resources"]
    stages = [item["Properties"] for item in resources.values() if item["Type"] == "AWS::ApiGatewayV2::Stage"]
    for stage in stages:
        group = resources[stage["AccessLogSettings"]["DestinationArn"]["Fn::GetAtt"][0]]
        assert group["Properties"]["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/")


@pytest.mark.parametrize(("choice", "logged"), [("on", True), ("off", False)])
def test_a_line_of_the_api_is_json_with_the_callers_address_by_choice(choice: str, logged: bool) -> None:
    resources = resolve(template.read(), {"LogClientIp": choice})["Resources"]
    line, parts = resources["Stage"]["Properties"]["AccessLogSettings"]["Format"]["Fn::Sub"]
    fields = json.loads(line.replace("${Ip}", parts["Ip"]))
    assert ("$context.identity.sourceIp" in fields.values()) is logged
    assert {"request", "api_request", "status"} <= fields.keys()


def test_the_tables_of_the_versions_before_stay_readable() -> None:
    (statement,) = sent({})["Resources"]["KimCnnReads"]["Properties"]["PolicyDocument"]["Statement"]
    assert [resource["Fn::Sub"].rpartition("/")[2] for resource in statement["Resource"]] == [
        "${KimCnnTable}",
        "table-before",
    ]


class Asked(dict[str, str]):
    """An environment that remembers which variables were asked for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def test_every_setting_is_a_parameter_with_its_default() -> None:
    content = resolve(template.read(), {})
    resources, variables = content["Resources"], content["Globals"]["Function"]["Environment"]["Variables"]
    variables = {**variables, **resources["KimCnnFunction"]["Properties"]["Environment"]["Variables"]}
    parameters = {name: value["Ref"] for name, value in variables.items() if isinstance(value, dict)}
    environment = Asked((name, str(content["Parameters"][value]["Default"])) for name, value in parameters.items())
    assert Settings.from_environment(environment) == Settings(table="kim-vectors")
    fixed = {"MODEL_PATH", "CORS_ALLOW_ORIGIN"}  # the one goes with the package, the other is the front's to say
    assert environment.asked - parameters.keys() == fixed


def test_only_parameters_that_functions_have_make_another_release() -> None:
    values = template.parameter_values(template.read(), {}, {})
    release = template.release(values)
    for name in template.NOT_OF_FUNCTIONS:
        assert template.release({**values, name: "other"}) == release
    for name in ("Release", "KimCnnTable", "Memory"):
        assert template.release({**values, name: "other"}) != release


# The rules about templates, each shown to refuse what it is about


def refusal(rule: rules.Rule, body: str, **fields: str) -> str | None:
    form = {"Action": "CreateChangeSet", "StackName": "s", "TemplateBody": body, **fields}
    credential = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/cloudformation/aws4_request, Signature=0"
    call = Call("POST", "/", {"authorization": credential}, b"")
    call.operation, call.fields = form["Action"], form
    answer = rule(call, History(), lambda service: None)
    return answer.content.decode() if answer else None


@pytest.mark.parametrize(
    ("rule", "body", "complaint"),
    [
        (rules.yaml_that_cloudformation_does_not_read, "a: &x 1\nb: *x\n", "YAML aliases are not allowed"),
        (rules.yaml_that_cloudformation_does_not_read, "a: {<<: {b: 1}}\n", "hash merges"),
        (rules.yaml_that_cloudformation_does_not_read, "a: !!binary aGk=\n", "unsupported tag binary"),
        (rules.template_too_long, "#" * 51_201, "51200"),
        (rules.code_on_a_local_path, (ROOT / "template.yaml").read_text(), "is not a valid S3 Uri"),
        (
            rules.policy_without_a_resource,
            "Conditions: {Never: !Equals [a, b]}\n"
            "Resources: {R: {Type: 'AWS::IAM::Role', Properties: {Policies: [{PolicyDocument: {Statement: "
            "[{Action: a, Resource: [!If [Never, b, !Ref 'AWS::NoValue']]}]}}]}}}\n",
            "must contain resources",
        ),
    ],
)
def test_a_rule_refuses_what_cloudformation_refuses(rule: rules.Rule, body: str, complaint: str) -> None:
    assert complaint in (refusal(rule, body) or "")


@pytest.mark.parametrize("rule", [rule for rule in rules.RULES[:4] if rule is not rules.template_too_long])
def test_no_rule_about_templates_objects_to_what_is_sent(rule: rules.Rule) -> None:
    assert refusal(rule, json.dumps(sent({}))) is None


def test_the_template_itself_has_no_alias_either() -> None:
    tokens = list(yaml.scan((ROOT / "template.yaml").read_text()))
    assert not [token for token in tokens if isinstance(token, (yaml.AliasToken, yaml.AnchorToken))]
