"""What guards a table: asked for when it is made, compared when it exists."""

from typing import Any

import pytest

from toolkit.cli import CommandError
from toolkit.vectors.guards import READ_UNITS, Guards
from toolkit.vectors.table import open_table

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALL = Guards(700, True, True, KEY, {"team": "search", "cost": "7"})


class WithThroughput:
    """Adds to moto's DynamoDB what it forgets of CreateTable: the bounds on throughput."""

    def __init__(self, client: Any) -> None:
        self.client, self.throughput = client, dict[str, Any]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def create_table(self, **request: Any) -> Any:
        answer = self.client.create_table(**request)
        self.throughput[request["TableName"]] = request.get("OnDemandThroughput")
        return answer

    def describe_table(self, TableName: str) -> Any:  # noqa: N803
        answer = self.client.describe_table(TableName=TableName)
        if bounds := self.throughput.get(TableName):
            answer["Table"]["OnDemandThroughput"] = bounds
        return answer


@pytest.fixture
def tables(dynamodb: Any) -> WithThroughput:
    return WithThroughput(dynamodb)


def described(client: Any, table: str) -> dict[str, Any]:
    table_description: dict[str, Any] = client.describe_table(TableName=table)["Table"]
    return table_description


def test_a_table_that_is_made_is_protected_and_its_reads_are_bounded(tables: Any) -> None:
    open_table(tables, "new", create=True)
    description = described(tables, "new")
    assert description["DeletionProtectionEnabled"]
    assert description["OnDemandThroughput"]["MaxReadRequestUnits"] == READ_UNITS
    with pytest.raises(tables.exceptions.ClientError, match="DeletionProtectionEnabled"):
        tables.delete_table(TableName="new")


def test_what_was_asked_for_is_there_and_asking_again_is_harmless(tables: Any) -> None:
    first = open_table(tables, "new", True, ALL)
    description = described(tables, "new")
    assert description["OnDemandThroughput"]["MaxReadRequestUnits"] == 700
    assert description["SSEDescription"]["KMSMasterKeyArn"] == KEY
    backups = tables.describe_continuous_backups(TableName="new")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    tags = tables.list_tags_of_resource(ResourceArn=description["TableArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == ALL.tags
    for create in (True, False):
        assert open_table(tables, "new", create, ALL) == first
        assert open_table(tables, "new", create) == first


def test_a_table_may_be_unprotected_and_unbounded(tables: Any) -> None:
    open_table(tables, "new", True, Guards(0, False))
    assert not described(tables, "new").get("OnDemandThroughput")
    open_table(tables, "new", True, Guards(0, False))
    tables.delete_table(TableName="new")


@pytest.mark.parametrize(
    ("guards", "difference"),
    [
        (Guards(800), "--max-read-units is not set"),
        (Guards(deletion_protection=True), "deletion protection is off"),
        (Guards(point_in_time_recovery=True), "point-in-time recovery is off"),
        (Guards(kms_key=KEY), "its key is the one that AWS owns"),
        (Guards(tags={"team": "search"}), "it has no tag team=search"),
        (ALL, "deletion protection is off, its key"),
    ],
)
def test_a_table_that_exists_is_not_changed_and_the_difference_is_named(
    tables: Any, guards: Guards, difference: str
) -> None:
    before = described(tables, "words")
    for create in (True, False):
        with pytest.raises(CommandError, match=f"table words exists, and .*{difference}"):
            open_table(tables, "words", create, guards)
    assert described(tables, "words") == before
