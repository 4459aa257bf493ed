"""The template that ships: valid, and no function may do more than it must (S17, S18)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib import settings
from chalicelib.store import jobs_items
from infra import package
from infra.local.deploy import for_emulator

FORBIDDEN = ("dynamodb:Scan", "iam:PassRole")


@pytest.fixture(scope="module")
def built():
    return package.build(for_aws=True)


@pytest.fixture(scope="module")
def template(built):
    return json.loads(built.template.read_text())


def of_type(template, kind):
    return {n: r for n, r in template["Resources"].items() if r["Type"] == kind}


def statements(template, role):
    policies = template["Resources"][role]["Properties"]["Policies"]
    return [s for policy in policies for s in policy["PolicyDocument"]["Statement"]]


def roles_of_functions(template):
    functions = of_type(template, "AWS::Serverless::Function")
    return {n: f["Properties"]["Role"]["Fn::GetAtt"][0] for n, f in functions.items()}


def as_list(value):
    return value if isinstance(value, list) else [value]


def test_template_passes_cfn_lint(built):
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [str(linter), str(built.template)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_function_has_a_role_of_its_own(template):
    roles = roles_of_functions(template)
    assert {"APIHandler", "Tick"} <= set(roles)
    assert len(set(roles.values())) == len(roles)


def test_no_role_has_a_wildcard_action_or_a_forbidden_one(template):
    for role in of_type(template, "AWS::IAM::Role"):
        for statement in statements(template, role):
            if statement["Effect"] == "Deny":
                continue
            assert "NotAction" not in statement
            for action in as_list(statement["Action"]):
                assert "*" not in action
                assert action not in FORBIDDEN


def test_no_role_reaches_resources_outside_the_stack(template):
    for role in of_type(template, "AWS::IAM::Role"):
        for statement in statements(template, role):
            assert "NotResource" not in statement
            for resource in as_list(statement["Resource"]):
                # An intrinsic names something of this stack; a plain text would be a guess or `*`.
                assert isinstance(resource, dict)


def test_no_role_may_change_or_remove_an_audit_record(template):
    changes = {"dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:UpdateItem"}
    for role in of_type(template, "AWS::IAM::Role"):
        found = statements(template, role)
        allowed = {a for one in found if one["Effect"] == "Allow" for a in as_list(one["Action"])}
        denied = [one for one in found if one["Effect"] == "Deny"]
        if not allowed & changes:
            continue
        (one,) = denied
        assert set(as_list(one["Action"])) >= changes
        condition = {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["AUDIT#*"]}}
        assert one["Condition"] == condition


def test_every_path_lets_a_browser_ask_before_it_asks(template):
    api = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    for methods in api["paths"].values():
        (known, *_) = (one for name, one in methods.items() if name != "options")
        integration = "x-amazon-apigateway-integration"
        assert methods["options"][integration] == known[integration]


def test_functions_are_told_all_that_the_settings_ask_for(template):
    given = template["Globals"]["Function"]["Environment"]["Variables"]
    assert set(given) >= {name for name in settings._REQUIRED if name.startswith("STROEM_")}


def test_index_of_the_job_list_projects_the_row_that_the_store_reads(template):
    table = template["Resources"]["JobsTable"]["Properties"]
    indexes = {i["IndexName"]: i for i in table["GlobalSecondaryIndexes"]}
    assert set(indexes["list"]["Projection"]["NonKeyAttributes"]) == set(jobs_items._ROW)
    assert indexes["due"]["Projection"]["ProjectionType"] == "KEYS_ONLY"


def test_tables_bill_by_request_are_encrypted_and_restorable(template):
    tables = of_type(template, "AWS::DynamoDB::Table")
    assert len(tables) == 4
    for table in tables.values():
        properties = table["Properties"]
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["SSESpecification"]["SSEEnabled"]
        assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]


def test_bucket_is_private_encrypted_and_refuses_plain_http(template):
    bucket = template["Resources"]["Bucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    policy = template["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]
    (denied, *others) = policy["Statement"]
    assert [next(iter(one)) for one in others] == ["Fn::If"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_tick_comes_every_minute(template):
    (event,) = template["Resources"]["Tick"]["Properties"]["Events"].values()
    assert event["Properties"]["Schedule"] == "rate(1 minute)"


def test_local_copy_differs_only_in_what_this_machine_needs(built, template):
    local = for_emulator(built.template, "key")
    for function in of_type(local, "AWS::Serverless::Function").values():
        assert function["Properties"].pop("CodeUri").startswith("s3://")
    stage = local["Resources"]["WebsocketAPIStage"]["Properties"]
    assert stage.pop("AutoDeploy") is True
    shipped = json.loads(json.dumps(template))
    for function in of_type(shipped, "AWS::Serverless::Function").values():
        function["Properties"].pop("CodeUri")
    shipped["Resources"].pop("WebsocketAPIDeployment")
    shipped["Resources"]["WebsocketAPIStage"]["Properties"].pop("DeploymentId")
    variables = local["Globals"]["Function"]["Environment"]["Variables"]
    assert variables.pop("STROEM_ENV") == "local"
    shipped["Globals"]["Function"]["Environment"]["Variables"].pop("STROEM_ENV")
    assert local == shipped
