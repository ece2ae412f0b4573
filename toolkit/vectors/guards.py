"""What guards a table: a bound on its reads, protection from deletion, recovery, a key, tags."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.cli import CommandError

READ_UNITS = 2500  # a second: 5,000 words, where 20 requests a second of 18 words want 360; at most $1.13 an hour


@dataclass(frozen=True)
class Guards:
    """What was asked for; None where nothing was, which means the default for a table that is made."""

    max_read_units: int | None = None  # a second; 0: no bound
    deletion_protection: bool | None = None
    point_in_time_recovery: bool = False
    kms_key: str | None = None  # ID or ARN
    tags: Mapping[str, str] = field(default_factory=dict)

    def throughput_and_key(self) -> dict[str, Any]:
        """Return the parameters that CreateTable and ImportTable both take."""
        units = READ_UNITS if self.max_read_units is None else self.max_read_units
        key = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": self.kms_key}
        return {
            **({"OnDemandThroughput": {"MaxReadRequestUnits": units}} if units else {}),
            **({"SSESpecification": key} if self.kms_key else {}),
        }

    def protection_and_tags(self) -> dict[str, Any]:
        """Return the parameters of CreateTable that ImportTable has not.

        docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableCreationParameters.html
        """
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        return {"DeletionProtectionEnabled": self.deletion_protection is not False, **({"Tags": tags} if tags else {})}


def guard_imported(client: Any, table: str, arn: str, guards: Guards) -> None:
    """Set what an import did not: protection, tags, recovery. May be repeated."""
    later = guards.protection_and_tags()
    if "Tags" in later:
        client.tag_resource(ResourceArn=arn, Tags=later["Tags"])
    if later["DeletionProtectionEnabled"]:
        client.update_table(TableName=table, DeletionProtectionEnabled=True)
        client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    let_recover(client, table, guards)


def let_recover(client: Any, table: str, guards: Guards) -> None:
    """Turn point-in-time recovery on, if it was asked for."""
    if guards.point_in_time_recovery:
        client.update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )


def check_guards(client: Any, description: Mapping[str, Any], guards: Guards) -> None:
    """Raise CommandError when a table that exists, as DescribeTable has it, is guarded otherwise than was asked for."""
    table, differences = description["TableName"], []
    units = max(0, description.get("OnDemandThroughput", {}).get("MaxReadRequestUnits", 0))
    if guards.max_read_units not in (None, units):
        differences.append(f"--max-read-units is {units or 'not set'}")
    protected = description.get("DeletionProtectionEnabled", False)
    if guards.deletion_protection not in (None, protected):
        differences.append(f"deletion protection is {'on' if protected else 'off'}")
    key = description.get("SSEDescription", {}).get("KMSMasterKeyArn", "")
    if guards.kms_key and key.rpartition("/")[2] != guards.kms_key.rpartition("/")[2]:
        differences.append(f"its key is {key or 'the one that AWS owns'}")
    if guards.point_in_time_recovery:
        backups = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        if backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED":
            differences.append("point-in-time recovery is off")
    if guards.tags:
        tags = _tags(client, description["TableArn"])
        differences += [f"it has no tag {key}={value}" for key, value in guards.tags.items() if tags.get(key) != value]
    if differences:
        raise CommandError(
            f"table {table} exists, and {', '.join(differences)}; change that with the AWS CLI (docs/vectors.md), or"
            " leave the options out"
        )


def _tags(client: Any, arn: str) -> dict[str, str]:
    pages = client.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
