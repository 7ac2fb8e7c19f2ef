"""The addresses of the service, as a FastAPI app. Its OpenAPI is at /openapi.json.

There is no /docs: FastAPI's page loads its scripts from another origin. FastAPI reads annotations when it is given a
function, so they are no texts here.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException

from .. import __version__
from ..errors import shown
from . import schema
from .answers import HEADERS, Problem, dump
from .bodies import PARAMETERS, Part, parameter, read_body, split_form
from .guard import Guard
from .metrics import TYPE
from .service import Service, Work

Site = tuple[Mapping[str, Path | bytes], Callable[[str], Mapping[str, str]]]
_HINT = b"manyfaces serve: POST an image to /v1/detect; /openapi.json describes it.\n"
_HEADERS = {name.decode(): value.decode() for name, value in HEADERS}
_CURL = "application/x-www-form-urlencoded"  # the type that curl names where none is given


def create_app(service: Service, site: Site | None = None) -> FastAPI:
    """The app of a service.

    Args:
        service: it is opened when the app starts, if it is not open yet.
        site: addresses of the page with their files or contents, and a function from an address to its headers.
    """
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not service.detectors:
            await asyncio.get_running_loop().run_in_executor(None, service.open)
        yield
        service.lanes.close()

    app = FastAPI(title="manyfaces", version=__version__, description=schema.DESCRIPTION, docs_url=None, redoc_url=None,
                  lifespan=lifespan, openapi_tags=schema.TAGS, redirect_slashes=False)
    app.state.service = service
    files = dict(site[0]) if site else {"": _HINT}
    app.add_middleware(Guard, service=service, page=[f"/{address}" for address in files])
    if service.settings.allow_origins:  # outside of the guard, whose errors a page has to be able to read too
        app.add_middleware(CORSMiddleware, allow_origins=list(service.settings.allow_origins),
                           allow_methods=["GET", "POST"], allow_headers=["authorization", "x-api-key", "content-type"],
                           expose_headers=["retry-after", "x-request-id"])
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _parameter_error)
    _add_detect(app, service)
    _add_facts(app, service)
    for address, content in files.items():
        headers = site[1](address or "index.html") if site else {"Content-Type": "text/plain; charset=utf-8"}
        _add_file(app, address, content, dict(headers))
    return app


def _add_detect(app, service):
    names = list(service.settings.named_models())

    @app.post("/v1/detect", tags=["detect"], summary="Find the faces of one image or several",
              responses=schema.detect_responses(names[0]), openapi_extra={"requestBody": schema.DETECT_BODY})
    async def detect(
        request: Request,
        model: Annotated[str | None, Query(max_length=100, description=f"one of: {', '.join(names)} (default: "
                                           f"{names[0]})", examples=names[:1])] = None,
        threshold: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False, description="lowest score of a face "
                                                 "(default: the model's own)", examples=[0.5])] = None,
    ) -> Response:
        """Send the bytes of an image file as the body, or several files as multipart/form-data."""
        _check_parameters(request.query_params)
        if model:
            service.detector(model)
        service.check_room()  # before the body is read
        facts = request.state.facts
        body = await read_body(request.receive, request.headers, service.settings, service.held)
        size = len(body)
        try:
            facts["bytes"] = size
            kind = request.headers.get("content-type", "")
            form = kind.strip().lower().startswith("multipart/form-data")
            if form:
                images, given = split_form(body, kind, service.settings.max_images)
                model = model or given.get("model")
                threshold = parameter(given.get("threshold")) if threshold is None else threshold
            elif kind.strip().lower().startswith("multipart/"):
                raise Problem("bad_multipart", "The form is of another kind than multipart/form-data.")
            else:
                images = [Part("", "", memoryview(body))]
            name, _ = service.detector(model)
            facts |= {"model": name, "images": len(images)}
            done = await service.detect([part.data for part in images], name, threshold, request.receive)
        finally:
            service.held.now -= size
        facts |= {"pixels": sum(work.pixels for work in done), "work_ms": round(sum(w.seconds for w in done) * 1e3, 1),
                  "faces": sum(len(work.answer["faces"]) for work in done if not isinstance(work.answer, Problem))}
        if form:
            return _of_form(name, images, done, facts)
        return _of_image(name, done[0], kind.strip().lower().startswith(_CURL))


def _check_parameters(given):
    """Problem for a name that is unknown or comes twice: it would be left out without a word."""
    for name, _ in given.multi_items():
        if name not in PARAMETERS or len(given.getlist(name)) > 1:
            raise Problem("bad_parameter", f"{shown(name)} is no parameter, or is given twice; there are: "
                          f"{', '.join(PARAMETERS)}.")


def _of_image(name: str, work: Work, curl: bool) -> Response:
    if isinstance(work.answer, Problem):
        if curl:  # of a damaged image even the size may be wrong
            raise Problem(work.answer.code, f"{work.answer.message} If curl sent it: --data-binary sends a file as it "
                          "is; -d and --data take out its line ends.", work.answer.retry_after)
        raise work.answer
    return Response(dump({"model": name, **work.answer}), headers=_HEADERS)


def _of_form(name: str, images: list[Part], done: list[Work], facts: dict[str, Any]) -> Response:
    """Rows in the order of the form. Where no image could be read, the status is that of the first one's error."""
    rows = [{"name": part.file or part.name, **({"error": work.answer.as_dict()} if isinstance(work.answer, Problem)
                                                else work.answer)} for part, work in zip(images, done, strict=True)]
    problems = [work.answer for work in done if isinstance(work.answer, Problem)]
    body = {"model": name, "images": rows}
    if len(problems) < len(rows):
        return Response(dump(body), headers=_HEADERS)
    facts["code"] = problems[0].code
    retry = {"Retry-After": str(problems[0].retry_after)} if problems[0].retry_after else {}
    return Response(problems[0].body(**body), problems[0].status, headers=_HEADERS | retry)


def _add_facts(app, service):
    @app.get("/v1/models", tags=["detect"], summary="The models of this service, and its limits",
             responses=schema.models_responses(next(iter(service.settings.named_models()))))
    async def models() -> Response:
        rows = [{"name": name, "default": name == service.default, "family": detector.cfg.FAMILY,
                 "landmarks": service.landmarks[name],
                 "threshold": detector.cfg.TEST.DEMO_SCORE,
                 "ms_per_megapixel": round(service.speeds[name] * 1e3, 1)}
                for name, detector in service.detectors.items()]
        limits = {key: getattr(service.settings, key) for key in ("max_bytes", "max_pixels", "max_images", "queue")}
        return Response(dump({"models": rows, "limits": limits}), headers=_HEADERS)

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", tags=["operation"], summary="Whether the process lives", operation_id="healthz",
             responses=schema.state_responses("alive"))
    async def healthz() -> Response:
        return Response(dump({"status": "alive"}), headers=_HEADERS)

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", tags=["operation"], operation_id="readyz", summary="Whether a request would be accepted now",
             responses=schema.state_responses("ready"))
    async def readyz() -> Response:
        if service.stopping:
            raise Problem("stopping", "The service is shutting down.", 1)
        service.check_room()
        return Response(dump({"status": "ready"}), headers=_HEADERS)

    @app.get("/metrics", tags=["operation"], summary="Metrics for Prometheus", responses=schema.METRICS)
    async def metrics() -> Response:
        service.metrics.pending.set(service.lanes.pending)
        service.metrics.held.set(service.held.now)
        service.metrics.stopping.set(service.stopping)
        return Response(service.metrics.text(), media_type=TYPE)


def _add_file(app, address, content, headers):
    """A file of the page, or bytes."""
    async def file(request: Request) -> Response:
        if isinstance(content, bytes):
            return Response(content, headers=headers)
        answer = FileResponse(content, headers=headers, stat_result=os.stat(content))
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return Response(status_code=304, headers={**headers, "ETag": answer.headers["etag"]})
        return answer

    app.add_route(f"/{address}", file, methods=["GET", "HEAD"], include_in_schema=False)


async def _http_error(request: Request, error: Any) -> Response:
    """What Starlette itself refuses: 404 and 405."""
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        raise Problem("method_not_allowed", f"This address takes {allowed or 'other methods'}, not {request.method}.",
                      allow=allowed)
    raise Problem("not_found", "There is nothing at this address; /openapi.json lists those that there are.")


async def _parameter_error(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    raise Problem("bad_parameter", f"{first['loc'][-1]} is {shown(first.get('input'))}: {first['msg']}.")
