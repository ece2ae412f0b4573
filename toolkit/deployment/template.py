"""The template of the stack as a dict: which parameters it gets, and which packages are written into it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from toolkit.cli import CommandError

ROOT = Path(__file__).resolve().parents[2]
# Parameters whose values no version of a function has
NOT_OF_FUNCTIONS = {
    "AlarmEmail", "AlarmTopic", "AllowedOrigin", "Auth", "Batch", "BatchConcurrency", "Canary", "Concurrency", "Front",
    "JwtAudience", "JwtIssuer", "LogClientIp", "LogRetention", "MonthlyBudget", "Page", "Throttle", "UnknownShare",
}  # fmt: skip
MODELS = {"sm_cnn": "SmCnn", "kim_cnn": "KimCnn"}  # part of the names of its resources and parameters


class _Loader(yaml.CSafeLoader):
    """Reads the short forms of CloudFormation's functions as well. In C: a template takes a second in Python."""


def _function(loader: yaml.CSafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    """Return the long form of `!name`, as JSON has it (AWS CloudFormation User Guide, intrinsic function reference)."""
    if isinstance(node, yaml.MappingNode):
        value: Any = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)
        value = value.split(".", 1) if name == "GetAtt" else value
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _function)


def parse(text: str) -> dict[str, Any]:
    """Return a template in YAML, with the short forms of CloudFormation's functions (`!Ref`) as it has them in JSON."""
    template: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506  # nosec B506: a SafeLoader
    return template


def read() -> dict[str, Any]:
    """Return template.yaml, parsed."""
    return parse((ROOT / "template.yaml").read_text())


def parameter_values(template: dict[str, Any], kept: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    """Return the value of each parameter: the one that is given, else the one that the stack keeps, else the default.

    Raises CommandError for a parameter, or a value of it, that the template does not allow, and when no model would be
    deployed.
    """
    defaults = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    if unknown := given.keys() - defaults.keys():
        raise CommandError(f"no parameter {min(unknown)}; template.yaml has {', '.join(defaults)}")
    for name, value in given.items():
        allowed = [str(each) for each in template["Parameters"][name].get("AllowedValues", [value])]
        if value not in allowed:
            raise CommandError(f"{name} can't be {value!r}; it is one of {', '.join(allowed)}")
    values = {name: {**kept, **given}.get(name, default) for name, default in defaults.items()}
    if not deployed_models(values):
        raise CommandError("neither model is to be deployed; utils/deploy.py down removes the stack")
    if values["Auth"] == "jwt" and values["Front"] != "http-api":
        raise CommandError("Auth=jwt needs Front=http-api, as a function URL knows no tokens")
    return values


def tables(values: dict[str, str]) -> set[str]:
    """Return the names of the tables that the models to be deployed read."""
    return {values[f"{MODELS[model]}Table"] for model in deployed_models(values)}


def deployed_models(values: dict[str, str]) -> list[str]:
    """Return the models to be deployed."""
    return [model for model, prefix in MODELS.items() if values[f"Deploy{prefix}"] == "true"]


def release(values: dict[str, str]) -> str:
    """Return a name for a version of the functions that differs when the value of a parameter that they have does."""
    seen = {name: value for name, value in values.items() if name not in NOT_OF_FUNCTIONS}
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]


def fill(
    template: dict[str, Any],
    packages: dict[str, str],
    values: dict[str, str],
    kept_tables: dict[str, set[str]],
    reserves: bool = True,
    shifts: bool = True,
) -> None:
    """Write into the template what it can't say by itself, so that it is what is sent to CloudFormation.

    That is the packages (model: path or S3 URI), the tables that the deployed versions of a model read, whether the
    account has the concurrency to reserve, whether a canary shifts traffic this time, and a release.
    SAM publishes a new version when the text of a function's properties changes, not when just the value of a
    parameter does that the text refers to.
    """
    resources = template["Resources"]
    functions = template["Globals"]["Function"]
    functions["Environment"]["Variables"]["RELEASE"] = release(values)
    if not reserves:  # nor is there a bound to ring at then
        template["Conditions"]["ReservesConcurrency"] = {"Fn::Equals": ["on", "off"]}
    for model, prefix in MODELS.items():
        del resources[f"{prefix}Function"]["Properties"]["AutoPublishCodeSha256"]
        for function in (resources[f"{prefix}{kind}"]["Properties"] for kind in ("Function", "Batch")):
            del function["CodeUri"]
            function |= {"CodeUri": packages[model]} if model in packages else {"InlineCode": "# not deployed"}
        if not shifts:
            del resources[f"{prefix}Live"]["UpdatePolicy"]
        (statement,) = resources[f"{prefix}Reads"]["Properties"]["PolicyDocument"]["Statement"]
        (own,) = statement["Resource"]
        others = sorted(kept_tables.get(model, set()) - {values[f"{prefix}Table"]})
        statement["Resource"] = [own, *({"Fn::Sub": own["Fn::Sub"].replace(f"${{{prefix}Table}}", t)} for t in others)]
    first_request = resources["FirstRequestFunction"]["Properties"]
    first_request["Code"] = str(ROOT / first_request["Code"])
