"""The Hub's validator of README metadata."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.hub.cards import check_card
from tests.support.hub.state import Hub, RefusalError


async def validate_yaml(hub: Hub, request: Request) -> Response:
    """Errors and warnings of a README. Two callers want two forms: the API wants JSON, also of errors; `RepoCard.validate` wants text."""
    body = await request.json()
    try:
        warnings = check_card(body["content"], body.get("repoType", "model"))
    except RefusalError as refusal:
        errors = refusal.message.splitlines()
        if "text/plain" in request.headers.get("accept", ""):
            return Response("\n".join(f"- Error: {error}" for error in errors), 400, media_type="text/plain")
        return JSONResponse({"error": refusal.message, "errors": [{"message": error} for error in errors], "warnings": []}, 400)
    return JSONResponse({"errors": [], "warnings": [{"message": warning} for warning in warnings]})
