"""The Chalice app: what AWS calls.

One rule: handlers here are two lines; what they do lives in `chalicelib`, which knows no Chalice
outside `api`. Middleware stands here only, where all can see it.
"""

from __future__ import annotations

import time
from typing import Any

from aws_lambda_powertools import Logger
from chalice.app import Chalice, CloudWatchEvent, Request, Response, WebsocketEvent

from chalicelib import wiring
from chalicelib.api import edge
from chalicelib.api.routes import BLUEPRINTS
from chalicelib.triggers import deliveries, live, pushes, sources, ticks

# The handler of every logger below `stroem`: one JSON object a line.
logger = Logger(service="stroem")
app = Chalice(app_name="stroem", configure_logs=False)
# Chalice still calls its WebSocket handlers an experiment; without this it does not package them.
app.experimental_feature_flags.add("WEBSOCKETS")
# So that API Gateway gives bytes out to workers that accept anything; see `edge.Sent`.
app.api.binary_types = [edge.ALL_TYPES]

for blueprint, prefix in BLUEPRINTS:
    app.register_blueprint(blueprint, url_prefix=prefix)


@app.middleware("http")
def observe(request: Request, get_response: edge.Next) -> Response:
    return edge.observe(request, get_response)


@app.schedule("rate(1 minute)")
def tick(_event: CloudWatchEvent) -> None:
    ticks.on_tick(wiring.engine(), time.sleep)


@app.schedule("rate(1 minute)")
def deliver(_event: CloudWatchEvent) -> None:
    deliveries.on_minute(wiring.engine(), time.sleep)


@app.lambda_function()
def on_source(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return sources.on_source(wiring.engine(), event)


@app.on_ws_connect()
def websocket_connect(event: WebsocketEvent) -> dict[str, Any]:
    return live.on_connect(wiring.engine(), event.to_dict())


@app.on_ws_message()
def websocket_message(event: WebsocketEvent) -> dict[str, Any]:
    return live.on_message(wiring.engine(), event.to_dict())


@app.on_ws_disconnect()
def websocket_disconnect(event: WebsocketEvent) -> dict[str, Any]:
    return live.on_disconnect(wiring.engine(), event.to_dict())


@app.lambda_function()
def push(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return pushes.on_changes(wiring.engine(), event)
