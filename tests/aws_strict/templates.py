"""Templates as CloudFormation sees them once their conditions are decided."""

from typing import Any

PSEUDO = {"AWS::Region": "us-east-1", "AWS::Partition": "aws", "AWS::StackName": "s", "AWS::AccountId": "000000000000"}
GONE = {"Ref": "AWS::NoValue"}


def resolve(template: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    """Return the template with its conditions decided for these values of parameters, and none left in it."""
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in template.get("Parameters", {}).items()}
    known = {**PSEUDO, **defaults, **values}
    conditions = template.get("Conditions", {})

    def holds(test: Any) -> bool:
        if isinstance(test, str):
            return holds(conditions[test])
        ((function, arguments),) = test.items()
        if function == "Condition":
            return holds(conditions[arguments])
        if function == "Fn::Equals":
            left, right = (known[item["Ref"]] if isinstance(item, dict) else str(item) for item in arguments)
            return bool(left == right)
        held = [holds(argument) for argument in arguments]
        return {"Fn::And": all(held), "Fn::Or": any(held), "Fn::Not": not held[0]}[function]

    def decided(node: Any) -> Any:
        if isinstance(node, dict):
            if "Fn::If" in node:
                test, yes, no = node["Fn::If"]
                return decided(yes if holds(test) else no)
            return {name: value for name, item in node.items() if (value := decided(item)) != GONE}
        if isinstance(node, list):
            return [value for item in node if (value := decided(item)) != GONE]
        return node

    result = {name: section for name, section in template.items() if name != "Conditions"}
    for section in ("Resources", "Outputs"):
        kept = {
            name: {key: value for key, value in item.items() if key != "Condition"}
            for name, item in template.get(section, {}).items()
            if "Condition" not in item or holds(item["Condition"])
        }
        result[section] = decided(kept)
    for resource in result["Resources"].values():  # CloudFormation forgets a DependsOn on what is not made
        if isinstance(resource.get("DependsOn"), str) and resource["DependsOn"] not in result["Resources"]:
            del resource["DependsOn"]
    if "Globals" in result:
        result["Globals"] = decided(result["Globals"])
    return result


def statements(node: Any) -> list[dict[str, Any]]:
    """Return all statements of all policies anywhere in a template."""
    found = []
    if isinstance(node, dict):
        found += [item for item in node.get("Statement", []) if isinstance(item, dict)]
        for value in node.values():
            found += statements(value)
    elif isinstance(node, list):
        for value in node:
            found += statements(value)
    return found
