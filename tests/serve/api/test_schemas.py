"""The JSON schemas that clients see: the OpenAPI document of REST, and the input and output schemas of the MCP tools.

`schemas.json` holds them without prose (titles, summaries, descriptions) and without the names of components. A
difference is a change of the public API. After an intended one, write the file again: `python -m
tests.serve.api.test_schemas`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import fastapi

from engram.serve.api import rest
from engram.serve.api.tools import TOOLS
from engram.serve.services import Services

RECORDED = Path(__file__).with_name("schemas.json")

PROSE = ("title", "summary", "description")


def without_prose(value: Any, components: dict[str, Any], names_are_fields: bool = False) -> Any:
    """Return a JSON schema without prose, each reference replaced by the schema that it names."""
    if isinstance(value, list):
        return [without_prose(item, components) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return without_prose(components[value["$ref"].rpartition("/")[2]], components)
    return {
        name: without_prose(item, components, name == "properties" and not names_are_fields)
        for name, item in value.items()
        if names_are_fields or name not in (*PROSE, "$defs")
    }


def rest_operations() -> dict[str, Any]:
    """Return the request and response schemas of REST by method and path, and the schema of all errors."""
    app = fastapi.FastAPI()
    # The document is generated from the signatures: no route is called.
    app.include_router(rest.router(cast(Services, FakeServices())))
    document = app.openapi()
    components = document["components"]["schemas"]
    operations = {"error": without_prose(components["Failure"], components)}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            responses = operation["responses"]
            operations[f"{method} {path}"] = {
                "operation": operation["operationId"],
                "parameters": without_prose(operation.get("parameters"), components),
                "body": without_prose(operation.get("requestBody"), components),
                "answers": {
                    status: without_prose(answer.get("content"), components) if int(status) < 400 else "error"
                    for status, answer in responses.items()
                },
            }
    return operations


class FakeServices:
    """Services for routes that are described and never called."""

    memory = None


def mcp_tools() -> dict[str, Any]:
    """Return the schemas of each tool, with its hints for clients."""
    tools = {}
    for name, tool in TOOLS.items():
        takes, gives = tool.input_schema(), tool.output_schema()
        tools[name] = {
            "input": without_prose(takes, takes.get("$defs", {})),
            "order": list(takes["properties"]),
            "output": without_prose(gives, gives.get("$defs", {})),
        }
    return tools


def current() -> dict[str, Any]:
    """Return the schemas of REST and of the tools, after a round trip through JSON."""
    result: dict[str, Any] = json.loads(json.dumps({"rest": rest_operations(), "mcp": mcp_tools()}))
    return result


def test_the_schemas_of_rest_are_the_recorded_ones() -> None:
    recorded, computed = json.loads(RECORDED.read_text())["rest"], current()["rest"]
    assert computed.keys() == recorded.keys()
    for name, operation in recorded.items():
        assert computed[name] == operation, name


def test_the_schemas_of_the_mcp_tools_are_the_recorded_ones() -> None:
    assert current()["mcp"] == json.loads(RECORDED.read_text())["mcp"]


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(current(), indent=1, ensure_ascii=False) + "\n")
