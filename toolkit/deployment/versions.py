"""The versions of a deployed function: which one serves, which one served before, and the tables they read.

The alias `live` names the version that the API calls. Two aliases are not part of the stack: `seen` names the version
that was live when a command here last looked, `before` the one that was live before that. So `note` finds it when
`sam deploy` has moved `live`, or an `up` that was killed. Versions that no alias names are deleted.
"""

from typing import Any

LIVE, SEEN, BEFORE = "live", "seen", "before"
CANDIDATE = "candidate"  # SAM's own alias of the version that it published last


def named(client: Any, function: str, alias: str = LIVE) -> str | None:
    """Return the number of the version that an alias of the function names, None when there is no such alias."""
    try:
        version: str = client.get_alias(FunctionName=function, Name=alias)["FunctionVersion"]
    except client.exceptions.ResourceNotFoundException:
        return None
    return version


def code(client: Any, function: str) -> str:
    """Return the SHA-256 of the package that was deployed last, live or not, in base64 as Lambda has it."""
    sha256: str = client.get_function_configuration(FunctionName=function, Qualifier=CANDIDATE)["CodeSha256"]
    return sha256


def tables(client: Any, function: str) -> set[str]:
    """Return the tables that the published versions of the function read."""
    return {
        version["Environment"]["Variables"]["WORD_VECTORS_TABLE"]
        for version in _published(client, function)
        if "WORD_VECTORS_TABLE" in version.get("Environment", {}).get("Variables", {})
    }


def note(client: Any, function: str, time: str) -> None:
    """When another version is live than the one seen last, let BEFORE name that one; killed midway, it can be repeated.

    `time` sorts as text; functions whose versions changed in one deployment share it.
    """
    live, seen = named(client, function), named(client, function, SEEN)
    if live and live != seen:
        if seen:
            _point(client, function, BEFORE, FunctionVersion=seen, Description=time)
        _point(client, function, SEEN, FunctionVersion=live)


def delete_unnamed(client: Any, function: str) -> None:
    """Delete the versions that no alias names."""
    kept = {alias["FunctionVersion"] for alias in client.list_aliases(FunctionName=function)["Aliases"]}
    for version in _published(client, function):
        if version["Version"] not in kept:
            client.delete_function(FunctionName=function, Qualifier=version["Version"])


def before_last_deployment(client: Any, functions: dict[str, str]) -> dict[str, str]:
    """Return the versions that served before the last deployment, by model, of those models that it changed."""
    found = {}
    for model, function in functions.items():
        for alias in client.list_aliases(FunctionName=function)["Aliases"]:
            if alias["Name"] == BEFORE:
                found[model] = alias
    last = max((alias["Description"] for alias in found.values()), default="")
    return {model: alias["FunctionVersion"] for model, alias in found.items() if alias["Description"] == last}


def go_back(client: Any, function: str, version: str) -> None:
    """Let the API call a version that served before, and no other, should a canary have stopped; BEFORE stays."""
    _point(client, function, SEEN, FunctionVersion=version)  # first: whenever this is killed, BEFORE will be right
    _point(client, function, LIVE, FunctionVersion=version, RoutingConfig={"AdditionalVersionWeights": {}})


def _point(client: Any, function: str, alias: str, **to: Any) -> None:
    try:
        client.update_alias(FunctionName=function, Name=alias, **to)
    except client.exceptions.ResourceNotFoundException:
        client.create_alias(FunctionName=function, Name=alias, **to)


def _published(client: Any, function: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    return [version for page in pages for version in page["Versions"] if version["Version"] != "$LATEST"]
