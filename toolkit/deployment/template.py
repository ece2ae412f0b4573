"""The template of the stack as a dict: which parameters it gets, and which packages are written into it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from toolkit.cli import CommandError

ROOT = Path(__file__).resolve().parents[2]
MODELS = {"sm_cnn": "SmCnn", "kim_cnn": "KimCnn"}  # part of the names of its resources and parameters


def read() -> dict[str, Any]:
    """Return template.yaml, with the short forms of CloudFormation's functions (`!Ref`) as it has them in JSON."""
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return template


def parameter_values(template: dict[str, Any], kept: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    """Return the value of each parameter: the one that is given, else the one that the stack keeps, else the default.

    Raises CommandError for a parameter that the template does not have, and when no model would be deployed.
    """
    defaults = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    if unknown := given.keys() - defaults.keys():
        raise CommandError(f"no parameter {min(unknown)}; template.yaml has {', '.join(defaults)}")
    values = {name: {**kept, **given}.get(name, default) for name, default in defaults.items()}
    if not any(values[f"Deploy{prefix}"] == "true" for prefix in MODELS.values()):
        raise CommandError("neither model is to be deployed; utils/deploy.py down removes the stack")
    return values


def tables(values: dict[str, str]) -> set[str]:
    """Return the names of the tables that the models to be deployed read."""
    return {values[f"{prefix}Table"] for prefix in MODELS.values() if values[f"Deploy{prefix}"] == "true"}


def fill(template: dict[str, Any], packages: dict[str, str], values: dict[str, str]) -> None:
    """Write the packages (model: path or S3 URI) into the template, and a release that differs when a value does.

    SAM publishes a new version when the text of a function's properties changes, not when just the value of a
    parameter does that the text refers to.
    """
    release = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    template["Globals"]["Function"]["Environment"]["Variables"]["RELEASE"] = release[:16]
    for model, prefix in MODELS.items():
        function = template["Resources"][f"{prefix}Function"]["Properties"]
        del function["AutoPublishCodeSha256"], function["CodeUri"]
        function |= {"CodeUri": packages[model]} if model in packages else {"InlineCode": "# not deployed"}
    first_request = template["Resources"]["FirstRequestFunction"]["Properties"]
    first_request["Code"] = str(ROOT / first_request["Code"])
