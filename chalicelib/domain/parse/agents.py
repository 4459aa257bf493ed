"""What only agents have: the keys of `type: agent`, and the tool servers.

Source: workflow language, section 1.15.
"""

from __future__ import annotations

from chalicelib.domain.parse.fields import named
from chalicelib.domain.parse.keys import MCP_SERVER, TOOL
from chalicelib.domain.parse.reader import Reader, kind_of
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import AgentSpec, McpServer

MAX_TURNS = 100
MAX_TEMPERATURE = 2
_MAX_MCP_TIMEOUT_S = 3600


def parse_agent(reader: Reader) -> AgentSpec:
    """Return the agent's own keys."""
    turns = reader.whole("max_turns", 1, MAX_TURNS)
    return AgentSpec(
        provider=reader.text("provider", required=True) or "",
        prompt=reader.text("prompt", required=True) or "",
        model=reader.text("model"),
        system_prompt=reader.text("system_prompt"),
        temperature=_temperature(reader),
        max_tokens=reader.whole("max_tokens", 1),
        tools=_tools(reader),
        max_turns=25 if turns is None else turns,
        interactive=reader.flag("interactive"),
    )


def _temperature(reader: Reader) -> float | None:
    value = reader.raw.get("temperature")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        reader.wrong("temperature", "a number")
        return None
    if not 0 <= value <= MAX_TEMPERATURE:
        reason = f"`temperature` must be from 0 to {MAX_TEMPERATURE}, not {value}"
        reader.report.error(reader.at("temperature"), reason)
        return None
    return float(value)


def _tools(reader: Reader) -> tuple[JsonObject, ...]:
    value = reader.raw.get("tools")
    if value is None:
        return ()
    if not isinstance(value, list):
        reader.wrong("tools", "a list", "tools: [{ task: name }]")
        return ()
    found: list[JsonObject] = []
    for index, item in enumerate(value):
        is_tool = isinstance(item, dict) and len(item) == 1 and set(item) <= set(TOOL)
        if isinstance(item, dict) and is_tool and isinstance(next(iter(item.values())), str):
            found.append(item)
        else:
            reason = f"a tool is `{{ task: name }}` or `{{ mcp: name }}`, not {kind_of(item)}"
            reader.report.error(reader.at("tools", index), reason)
    return tuple(found)


def parse_mcp_servers(root: Reader) -> dict[str, McpServer]:
    """Return the servers under `mcp_servers`."""
    return {key: _server(key, below) for key, below in named(root, "mcp_servers")}


def _server(key: str, reader: Reader) -> McpServer:
    reader.unknown(MCP_SERVER)
    if not reader.has("transport"):
        reader.missing("transport", "transport: stdio")
    transport = reader.word("transport", ("stdio", "sse"))
    timeout = reader.whole("timeout_secs", 1, _MAX_MCP_TIMEOUT_S)
    has_transport = reader.has("transport")
    return McpServer(
        key=key,
        transport=transport,
        command=reader.text("command", required=has_transport and transport == "stdio"),
        args=reader.texts("args") or (),
        url=reader.text("url", required=transport == "sse"),
        auth_token=reader.text("auth_token"),
        env=reader.text_map("env"),
        timeout_s=30 if timeout is None else timeout,
    )
