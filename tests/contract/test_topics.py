"""SNS as notifications use it: what is published arrives, and what cannot be says why."""

import json

import pytest

from chalicelib.domain.errors import PermissionDeniedError, UnavailableError
from chalicelib.net.sns import SnsTopics
from tests.contract.faults import no_connection, refused_with

ABSENT = "arn:aws:sns:us-east-1:123456789012:stroem-none"


@pytest.fixture
def sns(moto):
    return moto.client("sns")


def test_a_message_arrives_with_its_attributes(moto, sns):
    queues = moto.client("sqs")
    url = queues.create_queue(QueueName="ends")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    topic = sns.create_topic(Name="stroem-ends")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    SnsTopics(sns).publish(topic, '{"id": "ø"}', {"status": "failed"})
    (message,) = queues.receive_message(QueueUrl=url)["Messages"]
    body = json.loads(message["Body"])
    assert body["Message"] == '{"id": "ø"}'
    assert body["MessageAttributes"]["status"]["Value"] == "failed"


def test_a_topic_that_is_not_there_is_not_tried_again(sns):
    with pytest.raises(PermissionDeniedError, match="NotFound"):
        SnsTopics(sns).publish(ABSENT, "{}", {})


@pytest.mark.parametrize("code", ["Throttled", "InternalError"])
def test_what_may_pass_is_tried_again(sns, code):
    with refused_with(sns, "Publish", code), pytest.raises(UnavailableError, match=code):
        SnsTopics(sns).publish(ABSENT, "{}", {})


def test_a_service_that_is_not_reached_is_tried_again(sns):
    with no_connection(sns, "Publish"), pytest.raises(UnavailableError):
        SnsTopics(sns).publish(ABSENT, "{}", {})
