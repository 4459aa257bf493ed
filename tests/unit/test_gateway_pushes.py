"""What becomes of a message that is sent to a connection: API Gateway's answers, in our words."""

import socket

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from chalicelib.domain.errors import (
    NotFoundError,
    RateLimitedError,
    TooLargeError,
    UnavailableError,
)
from chalicelib.net.pushes import GatewayPushes, LatePushes, endpoint_of

OURS = {"ConnectionId": "c1="}


@pytest.fixture
def client():
    return boto3.client(
        "apigatewaymanagementapi",
        region_name="eu-west-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def stub(client):
    with Stubber(client) as stub:
        yield stub


@pytest.fixture
def pushes(client):
    return GatewayPushes(client)


class Connections:
    """What boto3's client does, of connections some of which take only so many messages."""

    def __init__(self, room):
        self.room = room
        self.sent = {name: [] for name in room}

    def post_to_connection(self, *, ConnectionId, Data):  # noqa: N803 - API Gateway's names
        if len(self.sent[ConnectionId]) >= self.room[ConnectionId]:
            answer = {"Error": {"Code": "LimitExceededException"}}
            raise ClientError(answer, "PostToConnection")
        self.sent[ConnectionId].append(Data.decode())


def test_each_connection_gets_its_messages_in_order_up_to_the_one_it_refuses():
    room = {f"c{number}": 1 if number == 7 else 10 for number in range(50)}
    client = Connections(room)
    pushes = GatewayPushes(client)
    refused = pushes.post_each({name: [f"{name} one", f"{name} two"] for name in room})
    assert {name: type(why) for name, why in refused.items()} == {"c7": RateLimitedError}
    for name, sent in client.sent.items():
        assert sent == [f"{name} one", f"{name} two"][: 1 if name == "c7" else 2]
    assert pushes.post_each({"c7": ["three"]}).keys() == {"c7"}
    assert pushes.post_each({}) == {}


def test_a_message_goes_out_as_utf_8(pushes, stub):
    stub.add_response("post_to_connection", {}, OURS | {"Data": "größe ✓".encode()})
    pushes.post("c1=", "größe ✓")
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("GoneException", 410, NotFoundError),
        ("", 410, NotFoundError),
        ("LimitExceededException", 429, RateLimitedError),
        ("TooManyRequestsException", 429, RateLimitedError),
        ("ThrottlingException", 400, RateLimitedError),
        ("", 429, RateLimitedError),
        ("PayloadTooLargeException", 413, TooLargeError),
        ("RequestEntityTooLargeException", 413, TooLargeError),
        ("ForbiddenException", 403, UnavailableError),
        ("InternalServerError", 500, UnavailableError),
        ("", 502, UnavailableError),
    ],
)
def test_each_refusal_has_its_meaning(pushes, stub, code, status, meaning):
    stub.add_client_error("post_to_connection", code, "secret words", http_status_code=status)
    with pytest.raises(meaning) as caught:
        pushes.post("c1=", "x" * 10)
    assert type(caught.value) is meaning
    assert "secret words" not in caught.value.message


def test_the_size_of_what_is_too_large_is_told(pushes, stub):
    stub.add_client_error("post_to_connection", "PayloadTooLargeException", "")
    with pytest.raises(TooLargeError, match="a message of 20 bytes"):
        pushes.post("c1=", "ø" * 10)


def test_who_may_not_post_is_told_what_is_lacking(pushes, stub):
    stub.add_client_error("post_to_connection", "ForbiddenException", "", http_status_code=403)
    with pytest.raises(UnavailableError, match="execute-api:ManageConnections"):
        pushes.post("c1=", "x")


def test_a_connection_is_ended_and_one_that_is_gone_is_no_error(pushes, stub):
    stub.add_response("delete_connection", {}, OURS)
    stub.add_client_error("delete_connection", "GoneException", "", http_status_code=410)
    pushes.close("c1=")
    pushes.close("c1=")
    stub.assert_no_pending_responses()


def test_a_connection_that_could_not_be_ended_is_told(pushes, stub):
    stub.add_client_error("delete_connection", "InternalServerError", "", http_status_code=500)
    with pytest.raises(UnavailableError):
        pushes.close("c1=")


def test_a_gateway_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    pushes = LatePushes(f"http://127.0.0.1:{port}/live", "eu-west-1")
    with pytest.raises(UnavailableError, match="did not answer"):
        pushes.post("c1=", "x")
    with pytest.raises(UnavailableError, match="did not answer"):
        pushes.close("c1=")


@pytest.mark.parametrize(
    ("region", "endpoint_url", "wanted"),
    [
        ("eu-west-1", None, "https://ab12.execute-api.eu-west-1.amazonaws.com/live"),
        ("cn-north-1", None, "https://ab12.execute-api.cn-north-1.amazonaws.com.cn/live"),
        ("us-east-1", "http://127.0.0.1:4566", "http://127.0.0.1:4566/_aws/execute-api/ab12/live"),
        ("us-east-1", "http://[::1]:1/", "http://[::1]:1/_aws/execute-api/ab12/live"),
    ],
)
def test_a_stage_is_found_where_it_stands(region, endpoint_url, wanted):
    assert endpoint_of("ab12", "live", region, endpoint_url) == wanted
