"""The HTTP side against its own description: schemathesis asks every route in every way it can think of."""

from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis.checks import not_a_server_error

ROUTES = {"/healthz", "/readyz", "/metrics", "/v1/config"}


@pytest.fixture(scope="module")
def described(start_servers: Any) -> Any:
    server = start_servers()
    schema = schemathesis.openapi.from_dict(server.app.openapi())
    schema.config.update(base_url=server.http)
    return schema


def test_no_request_makes_the_server_fail(described: Any):
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=10)
        def ask(case: schemathesis.Case) -> None:
            response = case.call()
            case.validate_response(response, checks=[not_a_server_error])
            assert "Traceback" not in response.text

        ask()


def test_every_route_is_described(described: Any):
    assert {operation.ok().path for operation in described.get_all_operations()} >= ROUTES
