"""The part of the template that makes things live: streams, WebSocket API, CDN (S3, S17)."""

from __future__ import annotations

import json

import pytest

from chalicelib.domain import keys
from chalicelib.domain.live import Mode
from infra import package

WRITES = {
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
}
SECRETS = ("kms:GenerateDataKey", "secretsmanager:GetSecretValue", "ssm:GetParameter")
OPEN_TO_THE_NET = ("WebsocketConnect", "WebsocketMessage", "WebsocketDisconnect", "Push")


@pytest.fixture(scope="module")
def template():
    return json.loads(package.build(for_aws=True).template.read_text())


def properties(template, name):
    return template["Resources"][name]["Properties"]


def statements(template, function):
    role = properties(template, function)["Role"]["Fn::GetAtt"][0]
    (policy,) = properties(template, role)["Policies"]
    return policy["PolicyDocument"]["Statement"]


def allowed(template, function, action):
    """Return all resources on which a function may do something, each as text."""
    found = set()
    for one in statements(template, function):
        if one["Effect"] == "Allow" and action in one["Action"]:
            given = one["Resource"]
            found |= {json.dumps(r) for r in (given if isinstance(given, list) else [given])}
    return found


def arn_of(table):
    return json.dumps({"Fn::GetAtt": [table, "Arn"]})


def mapping(template, name):
    """Return what of a table's changes comes to the function: its properties and its filter."""
    found = properties(template, name)
    (one,) = found["FilterCriteria"]["Filters"]
    return found, json.loads(one["Pattern"])


def test_tables_tell_their_changes(template):
    views = {
        name: properties(template, name)["StreamSpecification"].get("StreamViewType")
        for name in ("JobsTable", "LogsTable", "ConnectionsTable", "RegistryTable")
    }
    assert views == {
        "JobsTable": "NEW_AND_OLD_IMAGES",
        "LogsTable": "NEW_IMAGE",
        "ConnectionsTable": "NEW_IMAGE",
        "RegistryTable": None,
    }


@pytest.mark.parametrize("name", ["PushJobs", "PushLogs", "PushConnections"])
def test_changes_come_to_the_function_at_once_in_order_and_never_for_long(template, name):
    found, _ = mapping(template, name)
    assert found["FunctionName"] == {"Ref": "Push"}
    assert found["StartingPosition"] == "LATEST"
    assert found["MaximumBatchingWindowInSeconds"] == 0
    assert found["ParallelizationFactor"] == (10 if name == "PushConnections" else 1)
    assert found["BatchSize"] == (1 if name == "PushConnections" else 100)
    assert found["MaximumRecordAgeInSeconds"] == (3600 if name == "PushConnections" else 60)
    assert found["BisectBatchOnFunctionError"] is True


def test_only_the_record_of_a_job_comes_never_its_steps(template):
    _, pattern = mapping(template, "PushJobs")
    assert pattern == {"dynamodb": {"Keys": {"sk": {"S": [keys.META]}}}}


def test_only_chunks_that_somebody_watches_come(template):
    _, pattern = mapping(template, "PushLogs")
    image = {"live": {"BOOL": [True]}}
    assert pattern == {"eventName": ["INSERT"], "dynamodb": {"NewImage": image}}


def test_only_connections_of_bare_lines_come_that_are_new_or_woken(template):
    _, pattern = mapping(template, "PushConnections")
    image = {"mode": {"S": [Mode.LINES.value]}}
    assert pattern == {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": image}}


@pytest.mark.parametrize("function", OPEN_TO_THE_NET)
def test_no_function_of_the_live_api_reads_a_secret_or_runs_anything(template, function):
    actions = {a for one in statements(template, function) for a in one["Action"]}
    assert not actions & set(SECRETS)
    assert not [action for action in actions if action.startswith(("sqs:", "sns:", "lambda:"))]


@pytest.mark.parametrize("function", OPEN_TO_THE_NET)
def test_functions_of_the_live_api_write_connections_and_little_else(template, function):
    written = {
        (action, resource) for action in WRITES for resource in allowed(template, function, action)
    }
    others = {one for one in written if one[1] != arn_of("ConnectionsTable")}
    may = {("dynamodb:UpdateItem", arn_of("JobsTable"))}
    if function == "WebsocketConnect":
        # The day on which an API key was used last.
        may.add(("dynamodb:PutItem", arn_of("RegistryTable")))
    assert others == may


@pytest.mark.parametrize("function", OPEN_TO_THE_NET)
def test_functions_of_the_live_api_see_secrets_only_to_hide_them(template, function):
    # What is sent is searched for the secrets of the workspace, and for the job's own.
    to_hide = {"workspaces/*/definition.json", "jobs/*/secret-input.json"}
    read = allowed(template, function, "s3:GetObject")
    for resource in read:
        path = json.loads(resource)["Fn::Sub"].removeprefix("${Bucket.Arn}/")
        assert path in to_hide or not keys.may_hold_secrets(path)
        assert path != "*"
    for resource in allowed(template, function, "s3:PutObject"):
        assert json.loads(resource) == {"Fn::Sub": "${Bucket.Arn}/backfills/*"}


def test_only_what_sends_or_ends_connections_may_reach_them(template):
    manages = {
        name
        for name, one in template["Resources"].items()
        if one["Type"] == "AWS::Serverless::Function"
        and allowed(template, name, "execute-api:ManageConnections")
    }
    assert manages == {"APIHandler", "WebsocketMessage", "Push"}
    stage = properties(template, "WebsocketAPIStage")["StageName"]
    for name in manages:
        (resource,) = allowed(template, name, "execute-api:ManageConnections")
        assert f"${{WebsocketAPI}}/{stage}/*/@connections/*" in resource


def test_handshakes_are_throttled_and_no_log_has_a_query(template):
    stage = properties(template, "WebsocketAPIStage")
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 500
    assert stage["DefaultRouteSettings"]["DataTraceEnabled"] is False
    assert "AccessLogSettings" not in stage
    assert "Logging" not in properties(template, "Distribution")["DistributionConfig"]


def test_functions_are_told_where_the_websocket_api_is(template):
    told = template["Globals"]["Function"]["Environment"]["Variables"]
    assert told["STROEM_WEBSOCKET_API"] == {"Ref": "WebsocketAPI"}
    stage = properties(template, "WebsocketAPIStage")["StageName"]
    assert (
        told["STROEM_WEBSOCKET_STAGE"] == stage == template["Outputs"]["WebsocketStage"]["Value"]
    )
    _, named, own = told["STROEM_WEBSOCKET_URL"]["Fn::If"]
    assert named == {"Fn::Sub": "wss://${PublicName}/ws"}
    assert own["Fn::Sub"].endswith(f"/{stage}")


def behaviours(template):
    config = properties(template, "Distribution")["DistributionConfig"]
    return {one["PathPattern"]: one for one in config["CacheBehaviors"]}


def test_live_paths_stand_before_the_api_that_they_lie_below(template):
    order = list(behaviours(template))
    assert order.index("/api/jobs/*/logs/stream") < order.index("/api/*")
    for path in ("/api/jobs/*/logs/stream", "/ws"):
        one = behaviours(template)[path]
        assert one["TargetOriginId"] == "live"
        (function,) = one["FunctionAssociations"]
        assert function["FunctionARN"] == {"Fn::GetAtt": ["LiveFunction", "FunctionARN"]}


def test_all_paths_of_the_api_pass_the_cdn_uncached_and_with_their_headers(template):
    rest = {p for p, one in behaviours(template).items() if one["TargetOriginId"] == "rest"}
    named = {"/api", "/worker", "/hooks", "/approvals", "/device", "/healthz", "/metrics"}
    assert {path.rstrip("/*") for path in rest} == named
    for path in rest:
        assert len(behaviours(template)[path]["AllowedMethods"]) == 7
    for one in behaviours(template).values():
        # CachingDisabled, AllViewerExceptHostHeader.
        assert one["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
        assert one["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac"
        assert one["ViewerProtocolPolicy"] == "https-only"


def test_cdn_speaks_tls_only_and_is_left_out_where_it_is_not_wanted(template):
    config = properties(template, "Distribution")["DistributionConfig"]
    _, own, _ = config["ViewerCertificate"]["Fn::If"]
    assert own["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert config["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"
    assert config["HttpVersion"] == "http2and3"
    for origin in config["Origins"]:
        https = origin.get("CustomOriginConfig", {"OriginProtocolPolicy": "https-only"})
        assert https["OriginProtocolPolicy"] == "https-only"
    for name, one in template["Resources"].items():
        if one["Type"].startswith("AWS::CloudFront::"):
            assert one["Condition"] == "HasCdn", name


def test_cdn_reads_the_web_interface_and_nothing_else_of_the_bucket(template):
    policy = properties(template, "BucketPolicy")["PolicyDocument"]
    _, one, _ = policy["Statement"][1]["Fn::If"]
    assert one["Action"] == "s3:GetObject"
    assert one["Resource"] == {"Fn::Sub": "${Bucket.Arn}/ui/*"}
    assert "distribution/${Distribution}" in json.dumps(one["Condition"]["StringEquals"])


def test_functions_of_the_cdn_are_the_files_that_are_tested(template):
    for name, file in (("LiveFunction", "live.js"), ("PagesFunction", "pages.js")):
        code = properties(template, name)["FunctionCode"]
        assert code == (package.ROOT / "infra" / "cdn" / file).read_text()


def test_objects_of_a_backfill_are_gone_after_a_day_and_pages_may_fetch_them(template):
    bucket = properties(template, "Bucket")
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["backfills"]["Prefix"] == "backfills/"
    assert rules["backfills"]["ExpirationInDays"] == 1
    (cors,) = bucket["CorsConfiguration"]["CorsRules"]
    assert cors["AllowedMethods"] == ["GET"]
