"""Queues and buckets on the real stack: messages and objects start jobs, without any worker."""

from __future__ import annotations

import json

import boto3
import pytest

from tests.e2e.running_stack import eventually
from tests.e2e.workers import environment_of

FLOW = """
tasks:
  ship: { flow: { only: { type: script, script: "true" } } }
triggers:
  orders: { type: sqs, queue: "%s", task: ship }
  drops: { type: s3, bucket: native-drops, prefix: in/, task: ship }
"""


@pytest.fixture(scope="module")
def client(stack):
    environment = environment_of(stack)

    def make(service):
        return boto3.client(
            service,
            region_name=environment.get("AWS_REGION") or environment["AWS_DEFAULT_REGION"],
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    return make


@pytest.fixture(scope="module")
def function(client):
    pages = client("lambda").get_paginator("list_functions").paginate()
    names = [one["FunctionName"] for page in pages for one in page["Functions"]]
    return next(name for name in names if "OnSource" in name or "on_source" in name)


@pytest.fixture(scope="module")
def queue(client):
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="native-orders", tags={"stroem": "source"})["QueueUrl"]
    about = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, about["Attributes"]["QueueArn"]


@pytest.fixture(scope="module")
def pushed(stack, queue, tmp_path_factory):
    folder = tmp_path_factory.mktemp("native")
    (folder / "flow.yaml").write_text(FLOW % queue[1])
    done = stack.stroem("workspace", "push", str(folder), "--name", "native")
    assert done.returncode == 0, done.stderr


def started(stack, trigger):
    found = json.loads(stack.get(f"/api/jobs?workspace=native&limit=50&search={trigger}")[1])
    return [job for job in found["items"] if job["source_id"] == f"native/{trigger}"]


@pytest.mark.slow
def test_messages_of_a_queue_start_jobs_through_lambda(stack, client, function, queue, pushed):
    url, arn = queue
    client("lambda").create_event_source_mapping(
        FunctionName=function,
        EventSourceArn=arn,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        BatchSize=10,
    )
    for number in range(5):
        client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"n": number}))
    eventually(lambda: len(started(stack, "orders")) == 5, 180)
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def left():
        found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(value) for value in found["Attributes"].values())

    eventually(lambda: left() == 0, 180)
    assert {job["source_type"] for job in started(stack, "orders")} == {"event_source"}


@pytest.mark.slow
def test_objects_of_a_bucket_start_jobs_through_lambda(stack, client, function, pushed):
    s3, functions = client("s3"), client("lambda")
    s3.create_bucket(Bucket="native-drops")
    arn = functions.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    functions.add_permission(
        FunctionName=function,
        StatementId="drops",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::native-drops",
    )
    rule = {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="native-drops", NotificationConfiguration={"LambdaFunctionConfigurations": [rule]}
    )
    s3.put_object(Bucket="native-drops", Key="in/a b.csv", Body=b"1,2\n")
    s3.put_object(Bucket="native-drops", Key="out/a.csv", Body=b"1,2\n")
    eventually(lambda: len(started(stack, "drops")) == 1, 180)
